"""Every reader: split, rows, boxes and scores equal those of the head."""

import pytest
import torch
from mmdet.models.utils import unpack_gt_instances
from mmengine.config import ConfigDict

from mmkd_sod.models.distillers import ForwardRecorder
from mmkd_sod.models.task_modules import find_reader
from mmkd_sod.registry import HEAD_READERS
from mmkd_sod.testing.small_detectors import SMALL_DETECTORS, random_batch
from tests.heads import built, record

ALL = sorted(SMALL_DETECTORS)
BINS = ('GFLHead', 'LDHead', 'SABLRetinaHead')
# These heads return distances in strides in training and in pixels in eval mode.
OTHER_UNITS = ('CenterNetUpdateHead',)


def features(model, name):
    data = model.data_preprocessor(random_batch(), training=False)
    with torch.no_grad():
        return model.extract_feat(data['inputs']), data


def test_every_reader_has_a_small_detector():
    find_reader(built('GFLHead').bbox_head, 'student')  # the registry is filled at the first lookup
    # The dense heads of detectors with masks: their small detectors are in the small zoo.
    masks = {'BoxInstBboxHead', 'CondInstBboxHead', 'RTMDetInsHead', 'RTMDetInsSepBNHead'}
    assert set(HEAD_READERS.module_dict) == set(SMALL_DETECTORS) | masks


@pytest.mark.parametrize('name', ALL)
def test_tail_on_own_features_is_the_head(name):
    model = built(name)
    head, reader = model.bbox_head, find_reader(model.bbox_head, 'student')
    feats, _ = features(model, name)
    originals = {tower: getattr(head, tower) for tower in reader.towers}
    for idx in range(reader.depth + 1):
        with torch.no_grad():
            if idx == 0:
                wanted, streams = head(feats), dict.fromkeys(reader.streams(0), feats)
            else:
                with ForwardRecorder(reader.tower_sources(idx)) as kept:
                    wanted = head(feats)
                streams = reader.collect(kept)
            assert tuple(streams) == reader.streams(idx)
            assert {k: v[0].shape[1] for k, v in streams.items()} == reader.channels(idx)
            found = reader.run_tail(streams, idx)
        ours, theirs = reader.flatten(found), reader.flatten(wanted)
        assert torch.equal(ours.cls, theirs.cls) and torch.equal(ours.reg, theirs.reg)
        assert all(getattr(head, tower) is blocks for tower, blocks in originals.items())
    assert reader.ends_in_relu(1) == (name not in ('RTMDetSepBNHead', 'RTMDetHead', 'YOLOXHead'))


@pytest.mark.parametrize('name', ALL)
def test_training_and_eval_mode_mean_the_same(name):
    step = record(name)
    model, reader, trained, data = step.model, step.reader, step.predictions, step.data
    with torch.no_grad():
        evaluated = reader.flatten(model.bbox_head(model.extract_feat(data['inputs'])))
    torch.testing.assert_close(trained.cls, evaluated.cls, rtol=1e-4, atol=1e-4)
    if name not in OTHER_UNITS:
        torch.testing.assert_close(trained.reg, evaluated.reg, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('name', ALL)
def test_targets_fit_the_rows(name):
    step = record(name)
    reader, predictions, targets = step.reader, step.predictions, step.targets
    rows = len(predictions.cls)
    assert predictions.cls.shape == (rows, 3) and len(predictions.reg) == rows
    assert float(targets.avg_factor) > 0 and float(targets.box_avg_factor) > 0
    if targets.label_weights is not None:
        assert targets.label_weights.shape in ((rows,), (rows, 3))
        assert targets.counted.shape == (rows,) and targets.counted.any()
    if name == 'FreeAnchorRetinaHead':  # assigns nothing
        assert targets.positive is None and targets.label_weights is None
        return
    assert targets.positive.shape == (rows,) and targets.positive.any()
    if targets.counted is not None:
        assert targets.counted[targets.positive].all()
    if targets.priors is None:
        return
    # Positive rows are near an object of the same image.
    assert len(targets.priors) == rows
    boxes, _, _ = unpack_gt_instances(step.data['data_samples'])
    anchors = rows // (2 * sum(h * w for h, w in predictions.levels))
    image = torch.cat(
        [torch.arange(2).repeat_interleave(h * w * anchors) for h, w in predictions.levels]
    )
    priors = targets.priors
    points = reader.reg_kind == 'boxes' and not hasattr(reader.head.prior_generator, 'base_anchors')
    centre = priors[:, :2] if points else (priors[:, :2] + priors[:, 2:]) / 2
    for row in targets.positive.nonzero().squeeze(-1):
        own = boxes[image[row]].bboxes
        inside = (centre[row] >= own[:, :2] - 64) & (centre[row] <= own[:, 2:] + 64)
        assert inside.all(1).any()


@pytest.mark.parametrize('name', [name for name in ALL if name not in BINS])
def test_boxes_and_scores_are_the_heads_own(name):
    step = record(name)
    model, reader, targets, data = step.model, step.reader, step.targets, step.data
    head = model.bbox_head
    cfg = ConfigDict(
        nms_pre=-1,
        min_bbox_size=-1,
        score_thr=0.0,
        max_per_img=2000,
        nms=dict(type='nms', iou_threshold=1.0, split_thr=10**6),
    )
    metas = [sample.metainfo for sample in data['data_samples']]
    with torch.no_grad():
        outputs = head(model.extract_feat(data['inputs']))
        predictions = reader.flatten(outputs)
        boxes = reader.boxes(predictions.reg.float(), targets)
        results = head.predict_by_feat(*outputs, batch_img_metas=metas, cfg=cfg, rescale=False)
    scores = predictions.cls.float().sigmoid()
    if predictions.center is not None:
        scores = scores * predictions.center.sigmoid().unsqueeze(1)
    if name in ('PAAHead', 'LADHead'):
        scores = scores.sqrt()
    height, width = metas[0]['img_shape']
    limit = boxes.new_tensor([width, height, width, height])
    boxes = boxes.maximum(boxes.new_zeros(4)).minimum(limit)
    for result in results:
        for row in result[:8]:
            # TOOD does not clip its boxes to the image.
            box = row.bboxes[0].maximum(boxes.new_zeros(4)).minimum(limit)
            score, label = row.scores[0], row.labels[0]
            near = (scores[:, label] - score).abs() < 1e-4
            assert near.any()
            # FoveaBox clips one pixel earlier; score voting moves PAA's boxes.
            if name not in ('PAAHead', 'LADHead'):
                atol = 1.01 if name == 'FoveaHead' else 1e-2
                assert (boxes[near] - box).abs().amax(1).min() < atol
