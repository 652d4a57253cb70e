"""Local checkpoints are read with the weights-only loader, whatever the environment says."""

import pytest
import torch
from mmengine.runner.checkpoint import CheckpointLoader

from mmkd_sod.errors import CheckpointError


class Evil:
    def __reduce__(self):
        return (print, ('run',))


def test_mmengine_takes_the_safe_loader_and_logs_the_name_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    path = str(tmp_path / 'a.pth')
    torch.save({'a': Evil()}, path)
    with pytest.raises(CheckpointError, match='holds more than weights'):
        CheckpointLoader.load_checkpoint(path)
    assert CheckpointLoader._get_checkpoint_loader(path).__name__[10:] == 'local'
