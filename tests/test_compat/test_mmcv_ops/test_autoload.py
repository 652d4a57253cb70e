"""torch offers the operators of an installed mmkd_sod, whatever a program imports first."""

import os
import subprocess
import sys
from pathlib import Path

import mmdet
import pytest

from tests.conftest import ROOT

# What an installation writes.
METADATA = 'Metadata-Version: 2.1\nName: mmkd_sod\nVersion: 0.1\n'
ENTRY_POINTS = '[torch.backends]\nmmkd_sod = mmkd_sod_autoload:offer\n'
# Neither process imports anything of ours.
SPAWN = """
from torch.utils.data import DataLoader, Dataset
from mmdet.structures.mask import BitmapMasks
import numpy as np


class Masks(Dataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        masks = BitmapMasks(np.ones((1, 8, 8), np.uint8), 8, 8)
        return masks.crop_and_resize(np.array([[0., 0., 8., 8.]], np.float32), (4, 4),
                                     np.array([0]), device='cpu').masks.sum()


if __name__ == '__main__':
    loader = DataLoader(Masks(), num_workers=1, multiprocessing_context='spawn')
    print([int(item) for item in loader])
"""


@pytest.fixture
def start(tmp_path):
    """Run a script where mmkd_sod is installed, from another folder."""
    info = tmp_path / 'installed/mmkd_sod-0.1.dist-info'
    info.mkdir(parents=True)
    (info / 'METADATA').write_text(METADATA)
    (info / 'entry_points.txt').write_text(ENTRY_POINTS)
    path = os.pathsep.join([str(info.parent), str(ROOT)])

    def run(*command):
        done = subprocess.run(
            [sys.executable, '-W', 'ignore', *map(str, command)],
            text=True,
            env=dict(os.environ, PYTHONPATH=path),
            cwd=tmp_path,
            capture_output=True,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    return run


def test_the_test_tool_of_mmdet_starts(start):
    assert 'usage: test.py' in start(Path(mmdet.__file__).parent / '.mim/tools/test.py', '-h')


def test_spawned_workers_have_the_operators(start, tmp_path):
    script = tmp_path / 'spawn.py'
    script.write_text(SPAWN)
    assert start(script).strip() == '[16, 16]'


def test_torch_alone_imports_nothing_of_the_package(start):
    code = 'import sys, torch; print("mmkd_sod" in sys.modules, "mmkd_sod_autoload" in sys.modules)'
    assert start('-c', code).split() == ['False', 'True']
