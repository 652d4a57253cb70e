"""RepPoints' assigner indexes a tensor of the CPU by one of the GPU (mmdet's issue 10436)."""

import functools

from .entry import Entry


def assign_on_the_device() -> None:
    """Let the assigner make its tensors where the points are."""
    from mmdet.models.task_modules.assigners.point_assigner import PointAssigner

    plain = PointAssigner.assign

    @functools.wraps(plain)
    def assign(self, pred_instances, gt_instances, gt_instances_ignore=None, **kwargs):
        with pred_instances.priors.device:
            return plain(self, pred_instances, gt_instances, gt_instances_ignore, **kwargs)

    PointAssigner.assign = assign


_MODULE = 'mmdet.models.task_modules.assigners.point_assigner'

ENTRY = Entry(
    name='point_assigner',
    packages=('mmdet', 'onedl-mmdetection'),
    versions='>=3.0,<4',
    attributes={
        f'{_MODULE}:PointAssigner.assign': (
            'self',
            'pred_instances',
            'gt_instances',
            'gt_instances_ignore',
            'kwargs',
        )
    },
    why="mmdet's RepPoints fails on a GPU",
    until='an mmdet whose PointAssigner makes all its tensors on the device of the points',
    patch=assign_on_the_device,
    after=_MODULE,
)
