"""Exported networks with the exported script predict as mmdet and mmseg."""

import numpy as np
import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from mmseg.structures import SegDataSample

from mmkd_sod.deployment import predict
from mmkd_sod.deployment.networks import DetectionNetwork, SegmentationNetwork
from mmkd_sod.deployment.preprocessing import final_fill
from mmkd_sod.deployment.recipe import _detection_output
from mmkd_sod.errors import ConfigError
from mmkd_sod.registry import MODELS
from mmkd_sod.testing.small_detectors import random_batch, small_detector
from tests.conftest import ROOT
from tests.detection import HEADS, detector
from tests.saliency import scfnet

# Heads of mmdet that predict as BaseDenseHead or GFLHead, and some that do not.
SHIPPED = (
    'ATSSHead',
    'AutoAssignHead',
    'CenterNetUpdateHead',
    'DDODHead',
    'FCOSHead',
    'FSAFHead',
    'FreeAnchorRetinaHead',
    'GFLHead',
    'NASFCOSHead',
    'PISARetinaHead',
    'RTMDetHead',
    'RTMDetSepBNHead',
    'RetinaHead',
    'RetinaSepBNHead',
    'VFNetHead',
    'YOLOFHead',
)
REFUSED = ('FoveaHead', 'PAAHead', 'RepPointsHead', 'SABLRetinaHead', 'TOODHead', 'YOLOXHead')


def build(cfg):
    init_default_scope('mmdet')
    torch.manual_seed(1)
    model = MODELS.build(ConfigDict(cfg))
    # New heads predict about the same score everywhere; spread scores, but not up to ties at 1.
    for parameter in model.bbox_head.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    model.eval()
    return model


def both_predictions(model, height=120, width=150, scale=(0.5, 0.8)):
    """Return the detections of mmdet and of the script for an image."""
    batch = random_batch(1, height, width)
    batch['data_samples'][0].set_metainfo(dict(scale_factor=scale))
    image = batch['inputs'][0].permute(1, 2, 0).numpy()
    with torch.no_grad():
        expected = model.test_step(batch)[0].pred_instances
        network = DetectionNetwork(model)
        recipe = dict(steps=[], fill=final_fill(model.data_preprocessor))
        x, frame = predict.prepare(image, recipe)
        outputs = network(torch.from_numpy(x))
    outputs = dict(zip(network.output_names, (o.numpy() for o in outputs), strict=True))
    settings = dict(_detection_output(network), factors=network.factors)
    return expected, predict.detections(outputs, dict(frame, scale=scale), settings)


def assert_same(expected, found):
    """Check for the same boxes in the same order, except for equal scores."""
    scores = expected.scores.numpy()
    assert len(scores) == len(found['scores']) > 0
    np.testing.assert_allclose(found['scores'], scores, atol=1e-5)
    same = np.abs(expected.bboxes.numpy()[:, None] - found['bboxes'][None]).max(-1) < 1e-2
    same &= expected.labels.numpy()[:, None] == found['labels'][None]
    tied = np.abs(scores[:, None] - found['scores'][None]) < 1e-6
    np.fill_diagonal(tied, True)
    # Of equal scores at the limit, the two may keep different ones.
    missing = ~(same & tied).any(1)
    assert (np.abs(scores[missing] - scores[-1]) < 1e-6).all()
    assert missing.mean() < 0.1


@pytest.mark.parametrize('agnostic', [False, True])
@pytest.mark.parametrize('score_thr', [0.0, 0.3])
@pytest.mark.parametrize('head', HEADS)
def test_detections_are_mmdets(head, score_thr, agnostic):
    cfg = detector(head)
    cfg['test_cfg'].update(
        score_thr=score_thr,
        max_per_img=40,
        nms=dict(type='nms', iou_threshold=0.5, class_agnostic=agnostic),
    )
    assert_same(*both_predictions(build(cfg)))


@pytest.mark.parametrize('head', SHIPPED)
def test_other_heads(head):
    assert_same(*both_predictions(build(dict(small_detector(head), _scope_='mmdet'))))


@pytest.mark.parametrize('head', REFUSED)
def test_heads_with_their_own_prediction_are_refused(head):
    model = build(dict(small_detector(head), _scope_='mmdet'))
    with pytest.raises(ConfigError, match=f'{head} does not predict as'):
        DetectionNetwork(model)


def test_nothing_found():
    cfg = detector('gfl')
    cfg['test_cfg'].update(score_thr=1.0)
    expected, found = both_predictions(build(cfg))
    assert len(expected.scores) == len(found['scores']) == 0
    assert found['bboxes'].shape == (0, 4)


def pspnet(**head):
    cfg = Config.fromfile(ROOT / 'configs/demo/camvid_pspnet_student.py').model
    cfg.decode_head.update(head)
    return ConfigDict(cfg, _scope_='mmseg')


@pytest.mark.parametrize(
    'cfg',
    [
        pspnet(),
        pspnet(align_corners=True),
        dict(scfnet()),
        pspnet(num_classes=2, out_channels=1, threshold=0.4),
    ],
    ids=['pspnet', 'align_corners', 'scfnet', 'one_channel'],
)
def test_label_maps_are_mmsegs(cfg):
    init_default_scope('mmseg')
    model = MODELS.build(ConfigDict(cfg)).eval()
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    sample = SegDataSample(
        metainfo=dict(img_shape=(64, 96), ori_shape=(50, 71), pad_shape=(64, 96))
    )
    chw = torch.from_numpy(image.transpose(2, 0, 1).copy())
    with torch.no_grad():
        expected = model.test_step(dict(inputs=[chw], data_samples=[sample]))[0]
        network = SegmentationNetwork(model)
        x, frame = predict.prepare(image, dict(steps=[], fill=final_fill(model.data_preprocessor)))
        outputs = dict(logits=network(torch.from_numpy(x)).numpy())
    frame['image'] = (50, 71)
    settings = dict(
        align_corners=network.align_corners, threshold=getattr(model.decode_head, 'threshold', None)
    )
    labels = predict.label_map(outputs, frame, settings)['labels']
    # Logits that are equal up to rounding may give either class.
    assert (labels != expected.pred_sem_seg.data[0].numpy()).mean() < 1e-3
    if outputs['logits'].shape[1] == 1:
        found = predict.saliency_map(outputs, frame, settings)['saliency']
        np.testing.assert_allclose(found, expected.seg_logits.data[0].numpy(), atol=1e-5)


def test_two_channels_give_one_saliency_logit():
    model = MODELS.build(pspnet(num_classes=2)).eval()
    image = torch.rand(1, 3, 64, 64) * 255
    with torch.no_grad():
        both = SegmentationNetwork(model)(image)
        one = SegmentationNetwork(model, saliency=True)(image)
    torch.testing.assert_close(one, both[:, 1:] - both[:, :1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(one.sigmoid(), both.softmax(1)[:, 1:], rtol=1e-4, atol=1e-5)


def test_decode_heads_with_their_own_prediction_are_refused():
    model = MODELS.build(pspnet()).eval()
    model.decode_head = torch.nn.Identity()
    with pytest.raises(ConfigError, match="does not predict as mmseg's BaseDecodeHead"):
        SegmentationNetwork(model)


def test_names_are_known_after_a_forward():
    network = DetectionNetwork(build(detector('fcos')))
    with pytest.raises(RuntimeError, match='first forward'):
        network.output_names  # noqa: B018
    with torch.no_grad():
        outputs = network(torch.rand(1, 3, 128, 160) * 255)
    assert network.output_names[:4] == ['scores0', 'boxes0', 'factors0', 'scores1']
    assert len(outputs) == len(network.output_names) == 15
