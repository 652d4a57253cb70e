"""With the mask, padding changes no distillation loss of a network of pointwise convolutions."""

import copy

import pytest
import torch
import torch.nn.functional as F
from mmengine.structures import BaseDataElement, PixelData
from torch import nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.distillers.connectors import ValidPositions
from mmkd_sod.models.valid_region import (
    cut_padding,
    gather_valid,
    scatter_valid,
    valid_fractions,
    valid_mask,
    valid_rows,
    valid_sizes,
)
from mmkd_sod.registry import MODELS
from mmkd_sod.testing import small_segmentors
from tests.detection import batch, build_distill, crosskd_cfg, detector
from tests.methods import build
from tests.test_models.test_algorithms.test_dense_distill import PKD

MASKED_PKD = copy.deepcopy(PKD)
MASKED_PKD['connectors'] = dict(valid=dict(type='mmkd_sod.ValidPositions'))
for _side in MASKED_PKD['loss_forward_mappings']['loss_feat_kd'].values():
    _side['connector'] = 'valid'


def centre(kernel):
    """Return the centre of a kernel; the rest sees over the border of an image."""
    return kernel if kernel.dim() < 4 else kernel[..., kernel.shape[2] // 2, kernel.shape[3] // 2]


def pointwise(model):
    """Keep the centre of every kernel only, and the statistics of every norm layer."""
    for network in (model.student, model.teacher):
        for module in network.modules():
            if isinstance(module, nn.Conv2d) and max(module.kernel_size) > 1:
                weight = centre(module.weight.data).clone() * 3
                centre(module.weight.data.zero_()).copy_(weight)
    model.train()
    for module in model.student.modules():
        if isinstance(module, (nn.modules.batchnorm._BatchNorm, nn.Dropout2d)):
            module.eval()
    return model


def distillation(model, data):
    """Return the distillation losses and their gradient."""
    model.zero_grad()
    losses = {k: v for k, v in model(**data, mode='loss').items() if k.startswith('distill.')}
    total = sum(value for key, value in losses.items() if 'loss' in key)
    total.backward()
    grads = [centre(p.grad) for p in model.student.parameters() if p.grad is not None]
    return {key: value.detach() for key, value in losses.items()}, grads


def twice_as_wide(data):
    """Pad a batch on the right to twice its width."""
    data = copy.deepcopy(data)
    height, width = data['inputs'].shape[2:]
    data['inputs'] = F.pad(data['inputs'], (0, width))
    for sample in data['data_samples']:
        shape = (height, 2 * width)
        sample.set_metainfo(dict(pad_shape=shape, batch_input_shape=shape))
        if 'gt_sem_seg' in sample:
            labels = F.pad(sample.gt_sem_seg.data, (0, width), value=255)
            sample.gt_sem_seg = PixelData(data=labels)
    return data


def boxes():
    data = batch(images=2, height=128, width=128)
    inputs = torch.stack(data['inputs']).float() / 64 - 2
    return dict(inputs=inputs, data_samples=data['data_samples'])


def labels():
    data = small_segmentors.random_batch(4, 64, 64, classes=5)
    inputs = torch.stack(data['inputs']).float() / 64 - 2
    return dict(inputs=inputs, data_samples=data['data_samples'])


def crosskd(head, **options):
    norm = dict(norm_cfg=None)
    return build_distill(
        head,
        distiller=crosskd_cfg(head, **options),
        student=detector(head, **norm),
        teacher=detector(head, width=8, **norm),
    )


def pkd(mask_padding):
    return build_distill('retinanet', distiller=copy.deepcopy(MASKED_PKD if mask_padding else PKD))


def cskd(mask_padding):
    loss = dict(type='mmkd_sod.ChannelSpatialKDLoss', projection='fixed', grid=(2, 2))
    distiller = dict(type='mmkd_sod.CSKDDistiller', loss_feat=loss, mask_padding=mask_padding)
    model = build('cskd_learned', distiller=distiller)
    model.distiller.loss_feat.gamma_cam.data.fill_(0.5)
    model.distiller.loss_feat.gamma_pam.data.fill_(0.5)
    return model


CASES = dict(
    crosskd_fcos=(lambda mask: crosskd('fcos', mask_padding=mask), boxes),
    crosskd_retinanet=(lambda mask: crosskd('retinanet', mask_padding=mask), boxes),
    crosskd_from_the_input=(lambda mask: crosskd('fcos', idx=0, mask_padding=mask), boxes),
    crosskd_adapter=(lambda mask: crosskd('fcos', adapter=True, mask_padding=mask), boxes),
    pkd=(pkd, boxes),
    cskd=(cskd, labels),
)


@pytest.mark.parametrize('case', CASES)
def test_padding_changes_nothing(case):
    make, data = CASES[case]
    model, data = pointwise(make(True)), data()
    wanted, grads = distillation(model, data)
    found, own_grads = distillation(model, twice_as_wide(data))
    assert len(wanted) > (case != 'pkd') and wanted.keys() == found.keys()
    for key in wanted:
        assert torch.allclose(found[key], wanted[key], rtol=1e-4, atol=1e-7), key
        assert wanted[key] > 1e-5, key
    scale = max(grad.abs().max() for grad in grads)
    assert scale > 0
    for ours, theirs in zip(own_grads, grads, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-3, atol=float(1e-4 * scale))


@pytest.mark.parametrize('case', CASES)
def test_without_the_mask_it_does(case):
    make, data = CASES[case]
    model, data = pointwise(make(False)), data()
    wanted, _ = distillation(model, data)
    found, _ = distillation(model, twice_as_wide(data))
    assert not all(torch.allclose(found[key], wanted[key], rtol=1e-3) for key in wanted)


@pytest.mark.parametrize('case', ['crosskd_fcos', 'pkd', 'cskd'])
def test_without_padding_the_mask_changes_nothing(case):
    make, data = CASES[case]
    data = data()
    plain, masked = make(False), make(True)
    masked.load_state_dict(plain.state_dict())
    for name, value in masked.teacher.state_dict().items():
        value.copy_(plain.teacher.state_dict()[name])
    wanted, found = (distillation(pointwise(model), data)[0] for model in (plain, masked))
    for key in wanted:
        assert torch.allclose(found[key], wanted[key], rtol=1e-5), key


def test_regions_of_images():
    samples = [BaseDataElement(metainfo=dict(img_shape=shape)) for shape in ((64, 33), (32, 96))]
    fractions = valid_fractions((64, 96), samples)
    assert valid_sizes(fractions, (64, 96)) == [(64, 33), (32, 96)]
    assert valid_sizes(fractions, (2, 3)) == [(2, 2), (1, 3)]  # partly covered positions count
    maps = torch.arange(2 * 5 * 4 * 6.0).view(2, 5, 4, 6) + 1
    mask = valid_mask(fractions, maps)
    assert mask.sum((1, 2)).tolist() == [4 * 3, 2 * 6]
    row = gather_valid(maps, mask)
    assert row.shape == (1, 5, 1, 24)
    assert torch.equal(scatter_valid(row, mask), maps * mask[:, None])
    assert torch.equal(cut_padding(fractions, maps), maps * mask[:, None])
    assert cut_padding(fractions[1:], maps[1:]).shape == (1, 5, 2, 6)
    rows = valid_rows(fractions, [(4, 6), (2, 3)], torch.empty(2 * (24 + 6) * 3, 1))
    assert rows.view(-1, 3).all(1).tolist() == [
        *mask.flatten().tolist(),
        *valid_mask(fractions, torch.empty(2, 1, 2, 3)).flatten().tolist(),
    ]


@pytest.mark.parametrize('samples', [None, [], [BaseDataElement()]])
def test_images_without_a_size_are_refused(samples):
    with pytest.raises(ConfigError, match="have 'img_shape', and these have not"):
        valid_fractions((64, 64), samples)


def test_the_connector_needs_dense_distill():
    connector = MODELS.build(dict(type='mmkd_sod.ValidPositions'))
    assert isinstance(connector, ValidPositions)
    with pytest.raises(ConfigError, match='got no sizes of images'):
        connector(torch.empty(1, 2, 3, 4))
