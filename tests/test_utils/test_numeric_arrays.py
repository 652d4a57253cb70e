"""Pickles rebuild arrays of numbers, and nothing else, with the stand-ins for numpy's names."""

import copy
import io
import pickle
import pickletools

import numpy as np
import pytest
import torch

from mmkd_sod.utils.array_pickle import ArrayUnpickler
from mmkd_sod.utils.numeric_arrays import NAMES, NumericArray

ARRAYS = [
    np.arange(6.0).reshape(2, 3),
    np.array([], 'f4'),
    np.array(3, '>i2'),
    np.ones(2, bool),
    np.array([1 + 2j], 'c8'),
    np.asfortranarray(np.arange(6, dtype='u1').reshape(2, 3)),
]


def through_torch(value, tmp_path):
    torch.save(value, tmp_path / 'a.pth')
    return torch.load(tmp_path / 'a.pth', weights_only=True)


def through_pickle(value, tmp_path):
    return ArrayUnpickler(io.BytesIO(pickle.dumps(value, protocol=2))).load()


@pytest.mark.parametrize('read', [through_torch, through_pickle])
@pytest.mark.parametrize('array', ARRAYS, ids=lambda array: array.dtype.str)
def test_numbers_arrive_to_the_bit(array, read, tmp_path):
    found = read(array, tmp_path)
    np.testing.assert_array_equal(found, array)
    plain = pickle.loads(pickle.dumps(array, protocol=2))  # numpy itself swaps bytes
    assert found.dtype == plain.dtype and found.shape == array.shape
    # What is saved again is plain numpy.
    again = pickle.dumps(found, protocol=2)
    assert b'mmkd_sod' not in again and type(pickle.loads(again)) is np.ndarray
    assert (copy.deepcopy(found) == array).all() and (np.append(found, 1)[-1] == 1)


@pytest.mark.parametrize('read', [through_torch, through_pickle])
def test_scalars(read, tmp_path):
    for value in (np.float64(2.5), np.int32(-3), np.float16(1)):
        found = read(value, tmp_path)
        assert found == value and found.dtype == value.dtype


class Call:
    """Pickled as a call of any function, with any state to build afterwards."""

    def __init__(self, function, *args, state=None):
        self.reduced = (function, args) if state is None else (function, args, state)

    def __reduce__(self):
        return self.reduced


RECONSTRUCT = np.array(0.0).__reduce__()[0]
EMPTY = (np.ndarray, (0,), b'b')
HOSTILE = dict(
    object_array=Call(np.ndarray, (1,), Call(np.dtype, 'O'), b'\x01' * 8),
    numeric_call=Call(np.ndarray, (1,), Call(np.dtype, 'f8')),
    object_dtype=Call(np.dtype, 'O'),
    void_dtype=Call(np.dtype, 'V8'),
    text_dtype=Call(np.dtype, '<U4'),
    record_dtype=Call(np.dtype, 'i4,O'),
    list_dtype=Call(np.dtype, [('a', 'O')]),
    flags=Call(np.dtype, 'i8', state=(4, '<', None, None, ('a',), -1, -1, 63)),
    object_state=Call(RECONSTRUCT, *EMPTY, state=(1, (1,), Call(np.dtype, 'O'), False, [3])),
    short_content=Call(RECONSTRUCT, *EMPTY, state=(1, (9,), Call(np.dtype, 'f8'), False, b'1')),
    negative_shape=Call(RECONSTRUCT, *EMPTY, state=(1, (-1,), Call(np.dtype, 'f8'), False, b'')),
    other_shape=Call(RECONSTRUCT, np.ndarray, (3,), b'O'),
    bytes=Call(bytes, 1 << 40),
    scalar=Call(np.float64(0.0).__reduce__()[0], Call(np.dtype, 'f8'), b'123'),
)


@pytest.mark.parametrize('read', [through_torch, through_pickle])
@pytest.mark.parametrize('name', HOSTILE)
def test_everything_else_is_refused(name, read, tmp_path):
    with pytest.raises(pickle.UnpicklingError):
        read({'a': HOSTILE[name]}, tmp_path)


def test_no_name_of_numpy_leads_to_numpy():
    assert all(
        stand_in is NumericArray or stand_in.__module__ == 'mmkd_sod.utils.numeric_arrays'
        for stand_in in NAMES.values()
    )
    named = {
        argument
        for op, argument, _ in pickletools.genops(
            pickle.dumps([ARRAYS[0], np.float64(1)], protocol=2)
        )
        if op.name == 'GLOBAL'
    }
    assert {name.replace(' ', '.') for name in named} - {'_codecs.encode'} <= set(NAMES)
