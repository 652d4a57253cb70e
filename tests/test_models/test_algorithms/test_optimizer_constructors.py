"""Each optimizer constructor makes the parameter groups that a plain student would get."""

import copy
import warnings

import pytest
import torch
from mmdet.registry import OPTIM_WRAPPER_CONSTRUCTORS as DET
from mmengine.model import BaseModel
from mmengine.optim import build_optim_wrapper
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS as ROOT
from mmengine.registry import init_default_scope
from mmseg.models.backbones import BEiT
from mmseg.registry import OPTIM_WRAPPER_CONSTRUCTORS as SEG
from torch import nn

from mmkd_sod.models.algorithms.dense_distill import DenseDistill
from mmkd_sod.models.builder import build_model
from tests.detection import crosskd_cfg, detector
from tests.test_models.test_algorithms.test_dense_distill import PKD

PACKAGES = ('mmengine', 'mmdet', 'mmseg', 'mmkd_sod')


class ConvNeXt(nn.Module):
    """A module with the parameter names of mmpretrain's ConvNeXt, which is not installed."""

    def __init__(self):
        super().__init__()
        self.downsample_layers = nn.ModuleList(nn.Conv2d(3, 3, 1) for _ in range(4))
        self.stages = nn.ModuleList(
            nn.Sequential(*(nn.Conv2d(3, 3, 1) for _ in range(depth))) for depth in (3, 3, 9, 3)
        )
        self.norm0 = nn.LayerNorm(3)


def beit():
    return BEiT(img_size=(32, 32), embed_dims=16, num_layers=4, num_heads=2)


# Constructor -> the student's backbone (None: a ResNet) and paramwise_cfg.
CONVNEXT = dict(decay_rate=0.5, decay_type='layer_wise', num_layers=12)
KEYS = dict(
    custom_keys={
        'backbone': dict(lr_mult=0.1),
        'backbone.layer1': dict(lr_mult=0.5, decay_mult=0.0),
        'neck.lateral_convs.0': dict(lr_mult=3.0),
        'bbox_head.gfl_cls': dict(decay_mult=0.0),
    },
    norm_decay_mult=0.0,
    bias_lr_mult=2.0,
    bias_decay_mult=0.0,
)
CONSTRUCTORS = {
    'mmengine.DefaultOptimWrapperConstructor': [(None, None), (None, KEYS)],
    'mmdet.LearningRateDecayOptimizerConstructor': [
        (ConvNeXt, CONVNEXT),
        (ConvNeXt, dict(CONVNEXT, decay_type='stage_wise', num_layers=4)),
    ],
    'mmseg.LearningRateDecayOptimizerConstructor': [
        (ConvNeXt, CONVNEXT),
        (ConvNeXt, dict(CONVNEXT, decay_type='stage_wise', num_layers=4)),
        (beit, dict(CONVNEXT, num_layers=4)),
    ],
    'mmseg.LayerDecayOptimizerConstructor': [(beit, dict(num_layers=4, layer_decay_rate=0.9))],
    'mmseg.ForceDefaultOptimWrapperConstructor': [
        (None, dict(KEYS, force_default_settings=True, flat_decay_mult=0.0))
    ],
}


def test_no_constructor_is_left_out():
    registered = set()
    for registry in (ROOT, DET, SEG):
        registry.import_from_location()
        registered |= {
            f'{cls.__module__.split(".")[0]}.{name}'
            for name, cls in registry.module_dict.items()
            if cls.__module__.split('.')[0] in PACKAGES
        }
    assert registered == set(CONSTRUCTORS)


def groups(model: BaseModel, scope: str, constructor: str, paramwise) -> list[dict]:
    """Return the parameter groups that a constructor makes, with names instead of parameters.

    Groups of the distiller's own parameters, and those parameters in other groups, are left out.
    """
    init_default_scope(scope)
    cfg = dict(
        type='OptimWrapper',
        optimizer=dict(type='AdamW', lr=1.0, weight_decay=0.1),
        constructor=constructor,
    )
    if paramwise is not None:
        cfg['paramwise_cfg'] = copy.deepcopy(paramwise)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        optimizer = build_optim_wrapper(model, cfg).optimizer
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = []
    for group in optimizer.param_groups:
        named = [names[id(parameter)] for parameter in group['params']]
        if 'param_names' in group:
            assert group['param_names'] == named
        kept = [name for name in named if not name.startswith('distiller.')]
        if kept:
            found.append(dict(group, params=kept, param_names=kept))
    return found


def student(backbone) -> BaseModel:
    init_default_scope('mmdet')
    torch.manual_seed(0)
    model = build_model(detector())
    if backbone is not None:
        model.backbone = backbone()
    return model


@pytest.mark.parametrize('distiller', [PKD, crosskd_cfg(adapter=True)], ids=['no', 'adapters'])
@pytest.mark.parametrize(
    'name, backbone, paramwise',
    [(name, *case) for name, cases in CONSTRUCTORS.items() for case in cases],
)
def test_groups_are_those_of_the_plain_student(name, backbone, paramwise, distiller):
    scope, constructor = name.split('.')
    plain = student(backbone)
    init_default_scope('mmdet')
    model = DenseDistill(
        student(backbone),
        build_model(detector(width=8)),
        copy.deepcopy(distiller),
        teacher_allow_missing=['*'],
    )
    wanted = groups(plain, scope, constructor, paramwise)
    assert groups(model, scope, constructor, paramwise) == wanted
    rates = {(group['lr'], group['weight_decay']) for group in wanted}
    assert len(rates) > (1 if paramwise else 0)
