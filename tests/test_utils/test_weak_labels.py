"""Weak labels on disk: rounding, manifests and keys."""

import numpy as np
import pytest
import torch

from mmkd_sod.errors import ConfigError, DataError
from mmkd_sod.utils.images import write_png
from mmkd_sod.utils.weak_labels import (
    check_key,
    claim,
    label_path,
    read_key,
    read_label,
    teacher_key,
    weights_hash,
    write_label,
)


@pytest.mark.parametrize('bits', [8, 16])
def test_written_labels_are_read(tmp_path, bits):
    values = np.random.default_rng(0).random((7, 9)).astype(np.float32)
    values[0, :2] = 0, 1
    path = label_path(tmp_path, 'set', 'a/b')
    write_label(path, values, bits)
    assert path == tmp_path / 'set/a/b.png'
    np.testing.assert_allclose(read_label(path), values, atol=0.501 / (2**bits - 1))
    assert read_label(path)[0, :2].tolist() == [0, 1]


def test_refuses(tmp_path):
    with pytest.raises(ConfigError, match='bits=4 must be 8 or 16'):
        write_label(tmp_path / 'a.png', np.zeros((2, 2)), 4)
    write_png(tmp_path / 'c.png', np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(DataError, match=r"c.png' is not a grey PNG"):
        read_label(tmp_path / 'c.png')


def test_claims(tmp_path):
    claim(tmp_path, 'k' * 64, bits=16, teacher='t.py')
    claim(tmp_path, 'k' * 64, bits=16)
    assert check_key(tmp_path, None)['teacher'] == 't.py'
    with pytest.raises(DataError, match='stale: teacher is kkkkkkkkkkkk; expected xxxx'):
        claim(tmp_path, 'x' * 64, bits=16)
    for broken in ('', '[]', '{"key": 1, "bits": 8}', '{"key": "a", "bits": 9}'):
        (tmp_path / 'labels.json').write_text(broken)
        with pytest.raises(DataError, match='cannot be read'):
            read_key(tmp_path)


def test_keys():
    state = dict(a=torch.ones(2), n=torch.tensor(3), e=torch.zeros(0), h=torch.ones(2).bfloat16())
    same = dict(reversed(state.items())) | {'bn.num_batches_tracked': torch.tensor(7)}
    assert weights_hash(state) == weights_hash(same)
    assert weights_hash(state) != weights_hash(dict(state, a=torch.tensor([1.0, 2.0])))
    model = dict(type='A', head=dict(channels=16), init_cfg=dict(checkpoint='x'))
    key = teacher_key(model, state, 352)
    assert key == teacher_key(dict(head=dict(channels=16), type='A'), state, 352)
    assert key != teacher_key(dict(model, head=dict(channels=8)), state, 352)
    assert key != teacher_key(model, state, 320)
