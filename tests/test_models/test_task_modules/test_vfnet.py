"""VFNet: refined boxes, and the count of positives."""

import torch

from tests.heads import built, record


def test_refined_boxes_are_read_in_training():
    step = record('VFNetHead')
    head = built('VFNetHead').bbox_head
    with torch.no_grad():
        feats = step.model.extract_feat(step.data['inputs'])
        head.train()
        _, first, refined = head(feats)
        head.eval()
        assert len(head(feats)) == 2
    flat = torch.cat([level.permute(0, 2, 3, 1).reshape(-1, 4) for level in refined])
    torch.testing.assert_close(step.predictions.reg, flat)
    other = torch.cat([level.permute(0, 2, 3, 1).reshape(-1, 4) for level in first])
    assert not torch.allclose(flat, other)


def test_normaliser_is_the_count_of_positives():
    step = record('VFNetHead')
    assert step.targets.avg_factor == step.targets.positive.sum()
    assert record('VFNetHead', empty=(0, 1)).targets.avg_factor == 1
