"""compat: what is broken upstream works once mmkd_sod is imported."""
import subprocess
import sys

import numpy as np
import pytest
import torch


def run(code: str) -> str:
    return subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', code], check=True, capture_output=True,
        text=True).stdout


def test_import_is_light():
    out = run('import sys, mmkd_sod\n'
              'heavy = ("mmdet", "mmseg", "mmrazor", "torchvision", "mmpretrain")\n'
              'print([m for m in heavy if m in sys.modules])')
    assert out.strip() == '[]'


def test_mmrazor_imports_and_torchvision_stays_out():
    out = run('import sys, mmkd_sod, mmrazor.models, mmrazor.engine\n'
              'from mmrazor.registry import MODELS\n'
              'print(MODELS.get("PKDLoss").__name__, "torchvision" in sys.modules)')
    assert out.split()[-2:] == ['PKDLoss', 'False']


def test_weights_only_loader_reads_history_buffers(tmp_path):
    from mmengine.logging import HistoryBuffer
    buffer = HistoryBuffer()
    for value in (3., 1.):
        buffer.update(value)
    path = tmp_path / 'a.pth'
    torch.save({'buffer': buffer, 'f': np.float64(2.), 'i': np.arange(3)}, path)
    loaded = torch.load(path, weights_only=True)
    assert loaded['buffer'].min() == 1. and loaded['f'] == 2.
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


def test_downloaded_checkpoints_are_read_with_the_weights_only_loader(tmp_path):
    from mmengine.runner.checkpoint import CheckpointLoader

    from mmkd_sod.compat import load_from_http_safely
    loader = CheckpointLoader._get_checkpoint_loader('https://a.b/c.pth')
    assert loader is load_from_http_safely
    # A file in the cache is read without the network, and refused when it holds code.
    torch.save({'state_dict': Evil()}, tmp_path / 'c.pth')
    with pytest.raises(Exception, match='[Ww]eights'):
        load_from_http_safely('https://a.b/c.pth', model_dir=str(tmp_path))
    torch.save({'a': torch.ones(2)}, tmp_path / 'd.pth')
    good = load_from_http_safely('https://a.b/d.pth?x=1', model_dir=str(tmp_path))
    assert torch.equal(good['a'], torch.ones(2))


def test_what_the_safe_loader_refused_is_not_read_again(tmp_path, monkeypatch, capsys):
    from mmengine.runner import checkpoint

    from mmkd_sod import compat
    free = {'weights_only': False}
    # As in onedl-mmengine; mmengine has no such function.
    monkeypatch.setattr(checkpoint, '_safe_torch_load',
                        lambda file, map_location=None: torch.load(file, **free), raising=False)
    compat.read_once_and_safely()
    torch.save({'state_dict': Evil()}, tmp_path / 'c.pth')
    with pytest.raises(Exception, match='[Ww]eights'):
        checkpoint._safe_torch_load(str(tmp_path / 'c.pth'), map_location='cpu')
    assert 'run' not in capsys.readouterr().out


@pytest.mark.parametrize(('installed', 'package'), [
    (('mmsegmentation', ), 'mmsegmentation'),
    (('mmsegmentation', 'onedl-mmsegmentation'), 'mmsegmentation'),
    (('onedl-mmsegmentation', ), 'onedl-mmsegmentation'),
    ((), 'mmsegmentation')])
def test_configs_of_mmseg_are_looked_for_in_what_is_installed(monkeypatch, installed, package):
    from mmengine.config.utils import MODULE2PACKAGE

    from mmkd_sod import compat

    def version(name):
        if name not in installed:
            raise compat.metadata.PackageNotFoundError(name)
        return '1.0'

    monkeypatch.setattr(compat.metadata, 'version', version)
    monkeypatch.setitem(MODULE2PACKAGE, 'mmseg', 'mmsegmentation')
    compat.find_configs_of_the_fork()
    assert MODULE2PACKAGE['mmseg'] == package
