"""Scenes, converters and visualization import without mmcv, mmdet, mmseg and mmrazor."""

import subprocess
import sys

CODE = """
import sys
import mmkd_sod.datasets.scenes, mmkd_sod.datasets.voc, mmkd_sod.visualization
print(sorted({'mmdet', 'mmseg', 'mmrazor', 'mmcv', 'torchvision'} & set(sys.modules)))
"""


def test_imports_stay_light(root):
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', CODE],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == '[]'
