"""mmseg's ``DepthMetric`` writes depth maps with OpenCV's own writer.

It ends the process on file names that are not UTF-8. The maps are encoded in memory instead.
"""

from types import SimpleNamespace

import cv2

from mmkd_sod.utils.images import write_image

from .entry import Entry


def write_depth() -> None:
    """Replace the name ``cv2`` in mmseg's module, which uses its writer alone."""
    from mmseg.evaluation.metrics import depth_metric

    depth_metric.cv2 = SimpleNamespace(
        imwrite=write_image, IMWRITE_PNG_COMPRESSION=cv2.IMWRITE_PNG_COMPRESSION
    )


ENTRY = Entry(
    name='depth_images',
    packages=('mmsegmentation', 'onedl-mmsegmentation'),
    versions='>=1.2,<2',
    attributes={'mmseg.evaluation.metrics.depth_metric:cv2': None},
    why='a depth map whose file name is not UTF-8 ends the process in OpenCV',
    until='an mmseg that encodes images in memory',
    patch=write_depth,
    after='mmseg.evaluation.metrics.depth_metric',
)
