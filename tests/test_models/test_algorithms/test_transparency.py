"""DenseDistill looks like the student to code that was written for a plain model."""

import copy
import pickle

import pytest
import torch
from mmengine.model import ExponentialMovingAverage
from mmengine.optim import build_optim_wrapper
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.builder import build_model
from tests.detection import batch, build_distill, crosskd_cfg, detector, losses_of
from tests.ranks import in_ranks
from tests.test_models.test_algorithms.test_dense_distill import PKD


def test_attributes_are_the_students():
    model = build_distill()
    assert model.bbox_head is model.student.bbox_head
    assert model.with_neck is True
    model.bbox_head.use_l1 = True
    assert model.student.bbox_head.use_l1
    assert not hasattr(model, 'no_such_attribute')
    with pytest.raises(AttributeError, match="'GFL' object has no attribute 'no_such_attribute'"):
        _ = model.no_such_attribute


def test_copies_and_pickles_are_not_confused():
    model = build_distill()
    copied = copy.deepcopy(model)
    assert copied.bbox_head is copied.student.bbox_head is not model.bbox_head
    assert pickle.loads(pickle.dumps(nn.Sequential(model.student.neck)))[0] is not None
    with pytest.raises(AttributeError):
        _ = type(model).__new__(type(model)).backbone


def test_parameters_have_the_students_names():
    model = build_distill(distiller=crosskd_cfg(adapter=True))
    plain = build_model(detector())
    names = [name for name, _ in model.named_parameters()]
    assert names[: len(list(plain.parameters()))] == [name for name, _ in plain.named_parameters()]
    assert all(
        name.startswith('distiller.adapters.') for name in names[len(list(plain.parameters())) :]
    )
    assert set(names) <= set(model.state_dict())
    assert [name for name, _ in model.named_parameters('outer')] == [f'outer.{n}' for n in names]
    assert list(model.named_parameters(recurse=False)) == []
    assert len(list(model.parameters())) == len(names)
    # Average of a model and of its copy, paired by name.
    averaged = ExponentialMovingAverage(model)
    averaged.update_parameters(model)


def test_learning_rates_by_name_are_those_of_the_plain_model():
    cfg = dict(
        type='OptimWrapper',
        optimizer=dict(type='SGD', lr=1.0, weight_decay=0.1),
        paramwise_cfg=dict(
            custom_keys={
                'backbone': dict(lr_mult=0.1),
                'backbone.layer1': dict(lr_mult=0.5),
                'bbox_head.gfl_cls': dict(decay_mult=0),
            }
        ),
    )

    def rates(model):
        wrapper = build_optim_wrapper(model, copy.deepcopy(cfg))
        return [(group['lr'], group['weight_decay']) for group in wrapper.optimizer.param_groups]

    assert rates(build_distill()) == rates(build_model(detector()))


def test_a_student_whose_last_layers_would_stay_random_is_refused():
    with pytest.raises(ConfigError, match='calculate_student_loss=False, but CrossKDDistiller'):
        build_distill(calculate_student_loss=False)


def two_steps_of_distillation_alone(rank, world):
    """Two steps of a rank on images of its own; the second fails where a gradient was missing."""
    torch.manual_seed(0)
    model = build_distill(calculate_student_loss=False, distiller=copy.deepcopy(PKD))
    wrapped = DistributedDataParallel(model)
    for step in range(2):
        data = model.data_preprocessor(batch(seed=2 * step + rank), training=True)
        losses = wrapped(**data, mode='loss')
        model.parse_losses(losses)[0].backward()
    return dict(
        names=list(losses),
        grads={k: p.grad for k, p in model.named_parameters() if p.requires_grad},
    )


def test_distillation_alone_reaches_every_parameter_in_two_processes(tmp_path):
    alone = build_distill(calculate_student_loss=False, distiller=copy.deepcopy(PKD))
    assert 'distill.loss_idle' not in losses_of(alone)
    one, other = in_ranks(2, two_steps_of_distillation_alone, tmp_path / 'ranks')
    assert all(name.startswith('distill.') for name in one['names'])
    assert None not in one['grads'].values() and one['grads'].keys() == other['grads'].keys()
    assert all(torch.equal(grad, other['grads'][key]) for key, grad in one['grads'].items())
    assert not torch.any(one['grads']['bbox_head.gfl_cls.weight'])
    assert torch.any(one['grads']['neck.lateral_convs.0.conv.weight'])
