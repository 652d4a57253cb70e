"""CrossKD agrees with the authors' program: every loss term and the gradient norms."""
import copy
import json

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from mmkd_sod.registry import MODELS
from tests.conftest import golden_files

OURS = dict(KDQualityFocalLoss='mmkd_sod.KDQualityFocalLoss',
            KnowledgeDistillationKLDivLoss='mmkd_sod.KDKLDivLoss')
# The released programs' name of a term, and ours.
NAMES = dict(losses_center_kd='distill.loss_center_kd', loss_feat_kd='distill.loss_feat_kd',
             loss_cls_kd='distill.loss_cls_kd', loss_reg_kd='distill.loss_reg_kd')


def kd_loss(cfg: dict) -> dict:
    cfg = dict(cfg)
    cfg['type'] = OURS.get(cfg['type'], 'mmdet.' + cfg['type'])
    cfg.pop('class_reduction', None)
    if 'T' in cfg:
        cfg['tau'] = cfg.pop('T')
    return cfg


def crosskd(golden: dict) -> dict:
    losses = {name: kd_loss(cfg) for name, cfg in golden['kd_losses'].items()
              if name != 'loss_feat_kd'}
    distiller = dict(type='mmkd_sod.CrossKDDistiller',
                     reused_teacher_head_idx=golden['reused_teacher_head_idx'], **losses)
    if 'loss_feat_kd' not in golden['kd_losses']:
        return distiller
    weight = golden['kd_losses']['loss_feat_kd']['loss_weight']
    recorder = dict(neck=dict(type='mmrazor.ModuleOutputs', source='neck'))
    return dict(type='mmkd_sod.CompositeDistiller', distillers=[distiller, dict(
        type='mmrazor.ConfigurableDistiller', student_recorders=recorder,
        teacher_recorders=copy.deepcopy(recorder),
        distill_losses=dict(loss_feat_kd=dict(type='mmrazor.PKDLoss', loss_weight=weight)),
        loss_forward_mappings=dict(loss_feat_kd=dict(
            preds_S=dict(recorder='neck', from_student=True),
            preds_T=dict(recorder='neck', from_student=False))))])


def scoped(cfg: dict) -> dict:
    return dict(copy.deepcopy(cfg), _scope_='mmdet')


def build(golden: dict, arrays, **options):
    init_default_scope('mmdet')
    model = MODELS.build(dict(
        type='mmkd_sod.DenseDistill', architecture=scoped(golden['student_cfg']),
        teacher=scoped(golden['teacher_cfg']), distiller=crosskd(golden),
        teacher_allow_missing=['*'], **options))
    for name, part in (('student', model.student), ('teacher', model.teacher)):
        state = {key.removeprefix(name + '/'): torch.from_numpy(arrays[key])
                 for key in arrays.files if key.startswith(name + '/')}
        part.load_state_dict(state, strict=True)
    return model.train()


def batch(arrays) -> dict:
    images = torch.from_numpy(arrays['img'])
    shape = tuple(images.shape[-2:])
    samples = []
    for i in range(len(images)):
        sample = DetDataSample(metainfo=dict(
            img_shape=shape, pad_shape=shape, batch_input_shape=shape, scale_factor=(1., 1.)))
        sample.gt_instances = InstanceData(
            bboxes=torch.from_numpy(arrays[f'bboxes{i}']),
            labels=torch.from_numpy(arrays[f'labels{i}']).long())
        samples.append(sample)
    return dict(inputs=list(images), data_samples=samples)


def total(value) -> float:
    parts = value if isinstance(value, (list, tuple)) else [value]
    return float(sum(part.sum() for part in parts))


@pytest.mark.golden
@pytest.mark.parametrize('fold', [False, True], ids=['plain', 'folded'])
@pytest.mark.parametrize('path', golden_files('crosskd_*_idx*.json'))
def test_golden(path, fold):
    golden = json.loads(path.read_text())
    arrays = np.load(path.with_suffix('.npz'))
    model = build(golden, arrays, teacher_fold_bn=fold)
    data = model.data_preprocessor(batch(arrays), training=True)
    losses = model(**data, mode='loss')
    for name, wanted in golden['losses'].items():
        if name == 'loss':
            continue
        found = total(losses[NAMES.get(name, 'student.' + name)])
        assert found == pytest.approx(wanted, rel=1e-5), name
    loss, _ = model.parse_losses(losses)
    assert loss.item() == pytest.approx(golden['losses']['loss'], rel=1e-5)
    loss.backward()
    grads = {name: p.grad for name, p in model.student.named_parameters() if p.grad is not None}
    for name, wanted in golden['grad_norm'].items():
        found = grads[name].norm().item() if name in grads else 0.
        assert found == pytest.approx(wanted, rel=1e-4, abs=1e-6), name
    norm = torch.stack([grad.norm() for grad in grads.values()]).norm().item()
    assert norm == pytest.approx(golden['total_grad_norm'], rel=1e-4)
    assert all(p.grad is None for p in model.teacher.parameters())
