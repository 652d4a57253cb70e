"""Downloaded checkpoints are read with the weights-only loader."""

import pytest
import torch
from mmengine.runner.checkpoint import CheckpointLoader

from mmkd_sod.compat.http_checkpoints import load_from_http


class Evil:
    def __reduce__(self):
        return (print, ('run',))


def test_mmengine_takes_the_safe_loader_and_logs_the_name_of_its_own():
    loader = CheckpointLoader._get_checkpoint_loader('https://a.b/c.pth')
    assert loader is load_from_http and loader.__name__[10:] == 'http'


def test_a_file_in_the_cache_is_read_without_the_network_and_runs_nothing(tmp_path):
    torch.save({'state_dict': Evil()}, tmp_path / 'c.pth')
    with pytest.raises(Exception, match='[Ww]eights'):
        load_from_http('https://a.b/c.pth', model_dir=str(tmp_path))
    torch.save({'a': torch.ones(2)}, tmp_path / 'd.pth')
    good = load_from_http('https://a.b/d.pth?x=1', model_dir=str(tmp_path))
    assert torch.equal(good['a'], torch.ones(2))
