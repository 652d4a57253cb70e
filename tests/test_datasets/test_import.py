"""Scenes, converters and visualization import without mmdet, mmseg and mmrazor."""
import subprocess
import sys

CODE = '''
import sys
for name in ('mmdet', 'mmseg', 'mmrazor', 'mmcv', 'torchvision'):
    sys.modules[name] = None
import mmkd_sod.datasets.scenes, mmkd_sod.datasets.voc, mmkd_sod.visualization
'''


def test_imports_stay_light(root):
    done = subprocess.run([sys.executable, '-W', 'ignore', '-c', CODE], cwd=root,
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
