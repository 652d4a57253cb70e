"""Bins: SABL's buckets are read in the same way as GFL's bins."""

import torch

from mmkd_sod.models.losses import KDKLDivLoss
from tests.heads import record


def test_sabl_compares_the_buckets_that_it_decodes():
    step = record('SABLRetinaHead')
    assert step.reader.bins == step.model.bbox_head.side_num == 7
    assert step.predictions.reg.shape == (len(step.predictions.cls), 28)
    labels, _, *_, avg_factor = step.records['get_targets'][0]
    assert step.targets.avg_factor == avg_factor
    own = step.model.bbox_head.loss_cls(
        step.predictions.cls,
        torch.cat([level.reshape(-1) for level in labels]),
        step.targets.label_weights,
        avg_factor=step.targets.avg_factor,
    )
    torch.testing.assert_close(own, sum(step.losses['loss_cls']), rtol=1e-4, atol=1e-5)


def test_bins_term_is_a_mean_over_sides_by_confidence():
    reader = record('SABLRetinaHead').reader
    first, second = record('SABLRetinaHead').predictions, record('SABLRetinaHead', seed=3)
    second = second.predictions
    weight = torch.rand(len(first.cls))
    pair = reader.compare_reg(first, second, weight, None)
    found = KDKLDivLoss()(pair.student, pair.teacher, pair.weight, pair.avg_factor)
    p, q = (x.reg.view(-1, 4, 7).softmax(-1) for x in (first, second))
    wanted = ((q * (q / p).log()).sum(-1).mean(-1) * weight).sum() / weight.sum()
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)
