"""Checkpoints are untrusted input."""

import pytest
import torch

from mmkd_sod.errors import CheckpointError
from mmkd_sod.utils.checkpoint import load_local_safely, read_checkpoint, save_checkpoint

STATE = dict(a=torch.ones(2))


class Evil:
    def __reduce__(self):
        return (print, ('run',))


def test_code_is_refused_and_not_run(tmp_path, capsys):
    torch.save(dict(state_dict=STATE, evil=Evil()), tmp_path / 'evil.pth')
    with pytest.raises(CheckpointError, match='more than weights'):
        read_checkpoint(str(tmp_path / 'evil.pth'))
    assert 'run' not in capsys.readouterr().out


@pytest.mark.parametrize('content', [b'', b'not a checkpoint', b'PK\x03\x04 cut short'])
def test_broken_files(tmp_path, content):
    (tmp_path / 'a.pth').write_bytes(content)
    with pytest.raises(CheckpointError, match=r'a\.pth'):
        read_checkpoint(str(tmp_path / 'a.pth'))


@pytest.mark.parametrize('content', [[], dict(), dict(state_dict=dict(a=1)), torch.ones(1)])
def test_no_weights(tmp_path, content):
    torch.save(content, tmp_path / 'a.pth')
    with pytest.raises(CheckpointError, match='no `state_dict`'):
        read_checkpoint(str(tmp_path / 'a.pth'))


def test_prefixes_of_wrappers_and_distillers_are_removed(tmp_path):
    state = {'module.a': torch.ones(1), 'distiller.gamma': torch.ones(1)}
    torch.save(dict(state_dict=state, meta=dict(epoch=3)), tmp_path / 'a.pth')
    found, meta = read_checkpoint(str(tmp_path / 'a.pth'))
    assert list(found) == ['a'] and meta == dict(epoch=3)
    state = {'architecture.a': torch.ones(1), 'teacher.a': torch.zeros(1)}
    torch.save(state, tmp_path / 'b.pth')
    found, _ = read_checkpoint(str(tmp_path / 'b.pth'))
    assert list(found) == ['a'] and found['a'] == 1


def test_a_teacher_beside_a_plain_student_is_removed(tmp_path):
    state = {
        'a': torch.ones(1),
        'b': torch.ones(1),
        'teacher.a': torch.zeros(1),
        'teacher.c': torch.zeros(1),
    }
    torch.save(dict(state_dict=state), tmp_path / 'a.pth')
    assert list(read_checkpoint(str(tmp_path / 'a.pth'))[0]) == ['a', 'b']
    # Two models side by side (mean teachers) are not changed.
    state = {'student.a': torch.ones(1), 'teacher.a': torch.zeros(1)}
    torch.save(state, tmp_path / 'b.pth')
    assert list(read_checkpoint(str(tmp_path / 'b.pth'))[0]) == ['student.a', 'teacher.a']


def test_saving_is_atomic(tmp_path, monkeypatch):
    path = tmp_path / 'new' / 'a.pth'
    save_checkpoint(dict(state_dict=STATE), str(path))
    before = path.read_bytes()

    def cut_short(content, target):
        target.write(b'half')
        raise OSError('disk full')

    monkeypatch.setattr(torch, 'save', cut_short)
    with pytest.raises(OSError, match='disk full'):
        save_checkpoint(dict(state_dict=STATE), str(path))
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ['a.pth']


@pytest.mark.parametrize('old_format', [False, True])
def test_zeroed_bytes_are_refused(tmp_path, old_format):
    path = tmp_path / 'a.pth'
    weights = dict(weight=torch.randn(5000), bias=torch.randn(5000))
    torch.save(dict(state_dict=weights), path, _use_new_zipfile_serialization=not old_format)
    assert torch.equal(load_local_safely(str(path))['state_dict']['bias'], weights['bias'])
    if old_format:  # has no checksums
        return
    content = path.read_bytes()
    place = content.index(weights['bias'].numpy().tobytes()[:64])
    path.write_bytes(content[:place] + bytes(4096) + content[place + 4096 :])
    with pytest.raises(CheckpointError, match=r"is damaged: its record 'a/data/1'"):
        load_local_safely(str(path))


def test_a_file_without_checksums_is_read(tmp_path):
    if not hasattr(torch.serialization, 'set_crc32_options'):
        return
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(dict(a=torch.ones(9)), tmp_path / 'a.pth')
    finally:
        torch.serialization.set_crc32_options(True)
    assert load_local_safely(str(tmp_path / 'a.pth'))['a'].sum() == 9


def test_weights_that_are_not_finite_are_refused(tmp_path):
    path, mask = tmp_path / 'a.pth', torch.tensor([0.0, -torch.inf])
    torch.save(dict(state_dict=dict(mask=mask, weight=torch.ones(2))), path)
    assert torch.equal(read_checkpoint(str(path))[0]['mask'], mask)
    torch.save(dict(state_dict=dict(mask=mask, weight=mask)), path)
    with pytest.raises(CheckpointError, match='infinite values in 1 weights, first weight'):
        read_checkpoint(str(path))
