"""TOOD and RTMDet."""

import pytest
import torch
from mmengine.logging import MessageHub

from mmkd_sod.models.distillers import ForwardRecorder
from mmkd_sod.models.task_modules import find_reader
from tests.heads import built, record


@pytest.mark.parametrize('name', ['TOODHead', 'RTMDetHead', 'RTMDetSepBNHead'])
def test_normaliser_is_the_sum_of_alignment_metrics(name):
    step = record(name)
    metrics = step.records['get_targets'][0][4]
    total = sum(level.sum() for level in metrics)
    torch.testing.assert_close(step.targets.avg_factor, total.clamp(min=1))


def test_tood_in_its_first_stage():
    built('TOODHead')
    hub = MessageHub.get_current_instance()
    hub.update_info('epoch', 0)
    try:
        step = record('TOODHead')
    finally:
        hub.update_info('epoch', 10)
    assert step.targets.positive.any() and step.targets.avg_factor >= 1


def test_tood_reads_every_block_up_to_the_split():
    model = built('TOODHead')
    reader = find_reader(model.bbox_head, 'student')
    assert reader.streams(0) == ('inter_convs',)
    assert reader.streams(2) == ('inter_convs_0', 'inter_convs_1')
    with torch.no_grad():
        feats = model.extract_feat(torch.randn(2, 3, 128, 128))
        with ForwardRecorder(reader.tower_sources(2)) as kept:
            wanted = model.bbox_head(feats)
        streams = reader.collect(kept)
        # The prediction layers read the features of both blocks.
        streams['inter_convs_0'] = [feat + 1 for feat in streams['inter_convs_0']]
        found = reader.run_tail(streams, 2)
    assert not torch.allclose(reader.flatten(found).cls, reader.flatten(wanted).cls)


def test_toods_scores_become_finite_logits():
    reader = find_reader(built('TOODHead').bbox_head, 'student')
    scores = torch.tensor([0.0, 0.5, 1.0]).view(1, 3, 1, 1).expand(1, 3, 1, 1)
    sizes = [scores] * 5
    cls = reader.flatten((sizes, [torch.zeros(1, 4, 1, 1)] * 5)).cls
    assert torch.isfinite(cls).all() and (cls[:, 1] == 0).all()


@pytest.mark.parametrize('name', ['RTMDetHead', 'RTMDetSepBNHead'])
def test_rtmdet_is_aligned_without_relu(name):
    reader = find_reader(built(name).bbox_head, 'student')
    assert not any(reader.ends_in_relu(idx) for idx in range(reader.depth + 1))
