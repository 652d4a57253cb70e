"""mmseg's pickled images hold arrays only."""

import pickle

import numpy as np
import pytest
from mmseg.datasets.transforms.loading import datafrombytes

from tests.test_compat.test_annotation_files import Evil


def test_arrays_are_read_and_code_is_refused():
    image = np.arange(6.0).reshape(2, 3)
    assert np.array_equal(datafrombytes(pickle.dumps(image), 'pickle'), image)
    with pytest.raises(pickle.UnpicklingError, match='exec'):
        datafrombytes(pickle.dumps(Evil()), 'pickle')
