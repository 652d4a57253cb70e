"""What torch's safe loader refused is not read again."""

import pytest
import torch
from mmengine.runner import checkpoint

from mmkd_sod.compat import onedl_checkpoints
from mmkd_sod.compat.entry import check_attributes


class Evil:
    def __reduce__(self):
        return (print, ('run',))


def test_what_the_safe_loader_refused_is_not_read_again(tmp_path, monkeypatch, capsys):
    def free(file, map_location=None, weights_only=None):
        return torch.load(file, map_location=map_location, weights_only=False)

    # As in onedl-mmengine; mmengine has no such function.
    monkeypatch.setattr(checkpoint, '_safe_torch_load', free, raising=False)
    assert check_attributes(onedl_checkpoints.ENTRY) is None
    onedl_checkpoints.read_once()
    torch.save({'state_dict': Evil()}, tmp_path / 'c.pth')
    with pytest.raises(Exception, match='[Ww]eights'):
        checkpoint._safe_torch_load(str(tmp_path / 'c.pth'), map_location='cpu')
    assert 'run' not in capsys.readouterr().out
