"""The class hierarchy of OpenImages holds numbers only."""

import numpy as np
import pytest
from mmdet.datasets.openimages import OpenImagesChallengeDataset

from mmkd_sod.errors import DataError
from tests.test_compat.test_annotation_files import Evil


class Data(OpenImagesChallengeDataset):
    """A data set that reads nothing else."""

    def __init__(self):
        self.backend_args = None


def test_numbers_are_read_and_objects_are_refused(tmp_path):
    tree = np.arange(9).reshape(3, 3)
    np.save(tmp_path / 'a.npy', tree)
    assert np.array_equal(Data()._get_relation_matrix(str(tmp_path / 'a.npy')), tree[1:, 1:])
    np.save(tmp_path / 'b.npy', np.array([[Evil()]], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"b\.npy' is not a matrix of numbers"):
        Data()._get_relation_matrix(str(tmp_path / 'b.npy'))
