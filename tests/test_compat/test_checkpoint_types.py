"""Checkpoints of mmengine load with torch's safe loader, which stays on."""

import numpy as np
import pytest
import torch


def test_weights_only_loader_reads_history_buffers(tmp_path):
    from mmengine.logging import HistoryBuffer

    buffer = HistoryBuffer()
    for value in (3.0, 1.0):
        buffer.update(value)
    path = tmp_path / 'a.pth'
    torch.save({'buffer': buffer, 'f': np.float64(2.0), 'i': np.arange(3)}, path)
    loaded = torch.load(path, weights_only=True)
    assert loaded['buffer'].min() == 1.0 and loaded['f'] == 2.0
    np.testing.assert_array_equal(loaded['i'], np.arange(3))


class Evil:
    def __reduce__(self):
        return (print, ('run',))


class AskForAttribute:
    def __reduce__(self):
        from mmengine.logging import HistoryBuffer

        return (getattr, (HistoryBuffer, 'register_statistics'))


def test_weights_only_loader_lets_no_other_getattr_through(tmp_path):
    path = tmp_path / 'a.pth'
    torch.save({'a': AskForAttribute()}, path)
    with pytest.raises(Exception, match="attribute 'register_statistics'"):
        torch.load(path, weights_only=True)


def test_weights_only_loader_refuses_code(tmp_path, capsys):
    path = tmp_path / 'evil.pth'
    torch.save({'state_dict': Evil()}, path)
    with pytest.raises(Exception, match='[Ww]eights'):
        torch.load(path, weights_only=True)
    assert 'run' not in capsys.readouterr().out
