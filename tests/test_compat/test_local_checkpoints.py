"""Checkpoints are read with the weights-only loader, whatever the environment says."""

import os
import pickle
from types import SimpleNamespace

import pytest
import torch
from mmengine.runner import checkpoint
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


@pytest.mark.parametrize('scheme', ['s3', 'open-mmlab'])
def test_other_schemes_take_the_safe_loader(tmp_path, monkeypatch, scheme):
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    torch.save({'a': Evil()}, tmp_path / 'a.pth')
    content = (tmp_path / 'a.pth').read_bytes()
    backend = SimpleNamespace(get=lambda path: content)
    client = SimpleNamespace(infer_client=lambda *args, **kwargs: backend)
    monkeypatch.setattr(checkpoint, 'FileClient', client, raising=False)
    monkeypatch.setattr(checkpoint, 'get_file_backend', lambda *args, **kwargs: backend)
    monkeypatch.setattr(checkpoint, 'get_external_models', lambda: dict(a='a.pth'))
    monkeypatch.setattr(checkpoint, 'get_deprecated_model_names', dict)
    monkeypatch.setattr(checkpoint, '_get_mmengine_home', lambda: str(tmp_path))
    with pytest.raises(pickle.UnpicklingError, match='Weights only load failed'):
        CheckpointLoader.load_checkpoint(f'{scheme}://a')
    assert os.environ['TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'] == '1'
