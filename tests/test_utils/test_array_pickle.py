"""load_array_pickle: arrays are loaded, no code runs."""

import collections
import os
import pickle

import numpy as np
import pytest

from mmkd_sod.errors import CheckpointError
from mmkd_sod.utils.array_pickle import load_array_pickle


def write(tmp_path, content, protocol=4):
    path = tmp_path / 'a.pdparams'
    path.write_bytes(
        content if isinstance(content, bytes) else pickle.dumps(content, protocol=protocol)
    )
    return path


@pytest.mark.parametrize('protocol', [2, 3, 4, 5])
def test_reads_arrays_of_every_protocol(tmp_path, protocol):
    state = collections.OrderedDict(
        a=np.random.rand(3, 4).astype(np.float32),
        b=np.asfortranarray(np.arange(6).reshape(2, 3)),
        c=np.array(2.0),
        names=dict(a='conv_0.w_0'),
    )
    if protocol == 5:  # its storage of buffers is not part of the format
        with pytest.raises(CheckpointError, match=r'_frombuffer'):
            load_array_pickle(write(tmp_path, state, protocol))
        return
    loaded = load_array_pickle(write(tmp_path, state, protocol))
    assert list(loaded) == ['a', 'b', 'c']
    for name, value in loaded.items():
        np.testing.assert_array_equal(value, state[name])


class Call:
    def __init__(self, function, *args):
        self.call = (function, args)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    'call',
    [
        Call(os.system, 'echo run'),
        Call(eval, '1'),
        Call(getattr, 'a', 'upper'),
        Call(np.frompyfunc, print, 1, 1),
        Call(np.load, 'x.npy', None, True),
    ],
)
def test_refuses_and_runs_nothing(tmp_path, call, capfd):
    path = write(tmp_path, dict(a=np.zeros(2), b=call))
    with pytest.raises(CheckpointError, match='no code in them is executed') as error:
        load_array_pickle(path)
    assert str(path) in str(error.value) and 'run' not in capfd.readouterr().out


@pytest.mark.parametrize(
    'content, words',
    [
        (b'', 'not a pickle'),
        (b'\x80\x04garbage', 'not a pickle'),
        ([1, 2], 'must hold a dict'),
        (dict(a=1), 'holds no arrays'),
        (dict(a=np.array(['x'])), 'the dtype .U1., where only arrays of numbers'),
    ],
)
def test_refuses_files_without_weights(tmp_path, content, words):
    with pytest.raises(CheckpointError, match=words):
        load_array_pickle(write(tmp_path, content))


def test_truncated(tmp_path):
    whole = pickle.dumps(dict(a=np.zeros(1000)), protocol=4)
    with pytest.raises(CheckpointError, match='not a pickle'):
        load_array_pickle(write(tmp_path, whole[:-100]))


def test_missing(tmp_path):
    with pytest.raises(CheckpointError, match='No such file'):
        load_array_pickle(tmp_path / 'none.pdparams')
