"""RepPoints' assigner makes its tensors where the points are."""

import torch
from mmdet.models.task_modules.assigners import PointAssigner
from mmengine.structures import InstanceData

from mmkd_sod.testing.fake_device import FakeDevice


def assigned(where):
    generator = torch.Generator().manual_seed(0)
    points = torch.cat([torch.rand(40, 2, generator=generator) * 64, torch.full((40, 1), 8.0)], 1)
    boxes = torch.tensor([[4.0, 4.0, 40.0, 40.0], [20.0, 8.0, 60.0, 50.0]])
    return PointAssigner(scale=4, pos_num=3).assign(
        InstanceData(priors=points.to(where)),
        InstanceData(bboxes=boxes.to(where), labels=torch.tensor([1, 2]).to(where)),
    )


def test_on_a_device():
    wanted = assigned('cpu')
    with FakeDevice():
        found = assigned('cuda')
        assert torch.equal(found.gt_inds.cpu(), wanted.gt_inds)
        assert torch.equal(found.labels.cpu(), wanted.labels)
    assert set(wanted.gt_inds.tolist()) == {0, 1, 2}
