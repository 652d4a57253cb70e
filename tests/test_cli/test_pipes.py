"""Named pipes in place of data are refused by every tool; reading one would wait for ever."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.runs import ROOT, TINY_STUDENT, on
from tests.shipments import tiny

pytestmark = pytest.mark.skipif(sys.platform == 'win32', reason='no named pipes')


def ran(name, *arguments, cfg_options=()) -> tuple[int, str]:
    """Run a tool in a process that may wait; return its exit code and all that it printed."""
    options = ['--cfg-options', *cfg_options] if cfg_options else []
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', f'tools/{name}.py', *map(str, arguments), *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        env=dict(os.environ, OMP_NUM_THREADS='1'),
    )
    return done.returncode, ' '.join((done.stdout + done.stderr).split())


def replace_by_pipe(path):
    path.unlink()
    os.mkfifo(path)
    return path


@pytest.mark.parametrize(
    ('pipe', 'workers'),
    [
        ('annotations/train.json', 0),
        pytest.param('annotations/val.json', 0, marks=pytest.mark.slow),
        ('train/images/000001.jpg', 0),
        pytest.param('train/images/000001.jpg', 2, marks=pytest.mark.slow),
        pytest.param('val/images/000001.jpg', 0, marks=pytest.mark.slow),
    ],
)
def test_a_pipe_in_the_data_of_a_training(scenes, tmp_path, pipe, workers):
    data = shutil.copytree(scenes, tmp_path / 'data')
    replace_by_pipe(data / pipe)
    options = [*on(data), *TINY_STUDENT, f'train_dataloader.num_workers={workers}']
    code, text = ran(
        'train',
        'configs/demo/scenes_gfl_student.py',
        '--work-dir',
        tmp_path / 'run',
        cfg_options=options,
    )
    assert code == 2 and f"{pipe}'" in text.rpartition('train.py: error:')[2], text[-2000:]


@pytest.mark.slow
@pytest.mark.parametrize('name', ['generate_weak_labels', 'predict'])
def test_a_pipe_among_images(tmp_path, name):
    cfg, path = tiny('saliency', tmp_path, None)
    cfg.dump(tmp_path / 'net.py')
    images = tmp_path / 'data' / 'image'
    replace_by_pipe(images / '1.png')
    options = dict(
        generate_weak_labels=['--images', images, '--out', tmp_path / 'out'],
        predict=[images, '--out-dir', tmp_path / 'out'],
    )
    code, text = ran(name, tmp_path / 'net.py', path, *options[name], '--side', 64)
    assert code == 0, text[-2000:]
    names = [path.name for path in (tmp_path / 'out').rglob('*.png')]
    assert '0.png' in names and '1.png' not in names


@pytest.mark.slow
def test_pipes_named_on_the_command_line(tmp_path):
    cfg, path = tiny('saliency', tmp_path, None)
    cfg.dump(tmp_path / 'net.py')
    os.mkfifo(tmp_path / 'pipe.pth')
    for arguments in ((tmp_path / 'net.py', tmp_path / 'pipe.pth'), (tmp_path / 'pipe.pth', path)):
        code, text = ran('export_student', *arguments)
        assert code == 2 and "pipe.pth'" in text
