"""mmdet unpickles the class hierarchy of OpenImages' challenge freely (``.npy`` of objects)."""

import numpy as np

from mmkd_sod.errors import DataError

from .entry import Entry


def _get_relation_matrix(self, hierarchy_file: str) -> np.ndarray:
    """Return the (classes, classes) matrix of the hierarchy from a file of numbers."""
    from mmengine.fileio import get_local_path

    with get_local_path(hierarchy_file, backend_args=self.backend_args) as path:
        try:
            return np.load(path, allow_pickle=False)[1:, 1:]
        except (ValueError, EOFError, IndexError) as error:
            raise DataError(
                f"hierarchy_file '{hierarchy_file}' is not a matrix of numbers ({error}); save it "
                'with numpy.save as such'
            ) from error


def read_numbers() -> None:
    """Replace the method that reads the hierarchy."""
    from mmdet.datasets.openimages import OpenImagesChallengeDataset

    OpenImagesChallengeDataset._get_relation_matrix = _get_relation_matrix


ENTRY = Entry(
    name='openimages_hierarchy',
    packages=('mmdet', 'onedl-mmdetection'),
    versions='>=3.0,<4',
    security=True,
    attributes={
        'mmdet.datasets.openimages:OpenImagesChallengeDataset._get_relation_matrix': (
            'self',
            'hierarchy_file',
        )
    },
    why='mmdet runs code in the class hierarchy of OpenImages',
    until='an mmdet that reads the hierarchy with allow_pickle=False',
    patch=read_numbers,
    after='mmdet.datasets.openimages',
)
