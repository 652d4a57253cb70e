"""Exports of each task, and errors before anything is written."""

import json
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
from mmengine.config import Config

from mmkd_sod.deployment import shipment
from mmkd_sod.deployment.agreement import LIMIT
from mmkd_sod.deployment.predict import Predictor
from mmkd_sod.deployment.shipment import FILES, ship
from mmkd_sod.errors import CheckpointError, ConfigError, DataError, UserError
from mmkd_sod.models.student import load_student
from tests.shipments import TASKS, tiny

# Runs the exported script in a process without torch and OpenMMLab.
ALONE = """
import runpy, sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in ('torch', 'mmengine', 'mmcv', 'mmdet', 'mmseg', 'mmkd_sod'):
            raise ImportError(name + ' is out of reach')
sys.meta_path.insert(0, Blocker())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name='__main__')
"""


@pytest.fixture(scope='module')
def shipped(request, tmp_path_factory, scenes):
    """Return the task, the measurements and the folder of an export."""
    pytest.importorskip('onnx')
    pytest.importorskip('onnxruntime')
    task, folder = request.param, tmp_path_factory.mktemp(request.param)
    cfg, path = tiny(task, folder, scenes)
    lines = []
    return task, ship(cfg, path, folder / 'out', 'a_name', log=lines.append), folder, cfg


@pytest.mark.parametrize('shipped', TASKS, indirect=True)
def test_shipment(shipped, scenes):
    task, agreement, folder, cfg = shipped
    out = folder / 'out'
    assert agreement.worst < LIMIT and agreement.images == len(
        shipment.build_test_loader(cfg, 'test_dataloader')
    )
    assert sorted(p.name for p in out.iterdir()) == sorted(FILES)
    assert not [p for p in folder.iterdir() if p.name.startswith('.')]
    spec = json.loads((out / 'model.json').read_text())
    assert spec['task'] == task
    card = (out / 'CARD.md').read_text()
    assert card.startswith('# a_name\n') and str(folder) not in card and '3 epochs' in card

    # The plain config and checkpoint form a complete model.
    plain = Config.fromfile(out / 'config.py')
    load_student(plain, str(out / 'weights.pth'))

    # The script runs without torch and predicts the same as here.
    images = folder / 'photos'
    images.mkdir()
    picture = np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8)
    cv2.imwrite(str(images / 'one.png'), picture)
    command = [
        sys.executable,
        '-c',
        ALONE,
        str(out / 'predict.py'),
        str(images),
        '--out-dir',
        str(folder / 'found'),
    ]
    env = dict(os.environ, OMP_NUM_THREADS='1')
    env['PYTHONPATH'] = os.pathsep.join(p for p in sys.path if p.endswith('onnxpkgs'))
    done = subprocess.run(command, cwd=folder, env=env, text=True, capture_output=True)
    assert done.returncode == 0 and '1/1' in done.stdout and 'done' in done.stdout, done.stderr
    result = Predictor(out, threads=1)(picture)
    assert (folder / 'found' / 'one_painted.png').is_file()
    if task == 'detection':
        found = json.loads((folder / 'found' / 'one.json').read_text())
        assert len(found) == len(result['scores']) > 0
        np.testing.assert_allclose([f['bbox'] for f in found], result['bboxes'], atol=1e-3)
    else:
        found = cv2.imread(str(folder / 'found' / 'one.png'), cv2.IMREAD_UNCHANGED)
        wanted = (
            result['labels']
            if task == 'segmentation'
            else (result['saliency'] * 255 + 0.5).astype(np.uint8)
        )
        assert np.array_equal(found, wanted)

    # Existing files are kept; unreadable images are reported.
    (images / 'two.jpg').write_bytes(b'no image')
    again = subprocess.run(command, cwd=folder, env=env, text=True, capture_output=True)
    assert again.returncode == 1
    assert 'kept' in again.stdout and 'two.jpg: cannot be read' in again.stdout


@pytest.mark.parametrize('shipped', ['saliency'], indirect=True)
def test_nothing_is_overwritten(shipped):
    _, _, folder, cfg = shipped
    path, card = str(folder / 'saliency.pth'), folder / 'out' / 'CARD.md'
    card.write_text('mine')
    with pytest.raises(ConfigError, match='exists already'):
        ship(cfg, path, folder / 'out', 'a_name', log=lambda line: None)
    assert card.read_text() == 'mine'
    ship(cfg, path, folder / 'out', 'another', force=True, log=lambda line: None)
    assert card.read_text().startswith('# another')


@pytest.mark.parametrize('shipped', ['saliency'], indirect=True)
def test_a_wrong_predictor_is_not_exported(shipped, monkeypatch):
    _, _, folder, cfg = shipped
    call = Predictor.__call__
    monkeypatch.setattr(
        Predictor, '__call__', lambda self, image: dict(saliency=1 - call(self, image)['saliency'])
    )
    with pytest.raises(UserError, match='metrics differ by 0.001 or more, first sod/'):
        ship(cfg, str(folder / 'saliency.pth'), folder / 'bad', 'bad', log=lambda line: None)
    assert not (folder / 'bad').exists()
    assert not [p for p in folder.iterdir() if p.name.startswith('.')]


@pytest.fixture
def request_of_saliency(tmp_path, scenes, monkeypatch):
    # Refusals come before ONNX is needed.
    monkeypatch.setattr(shipment, '_require_runtime', lambda: None)
    cfg, path = tiny('saliency', tmp_path, scenes)
    return cfg, path, tmp_path / 'out'


def test_missing_data_is_reported_first(request_of_saliency):
    cfg, path, out = request_of_saliency
    cfg.test_dataloader.dataset.data_root = 'nowhere'
    with pytest.raises(DataError, match='does not exist'):
        ship(cfg, path, out, 'a')
    cfg.test_dataloader = None
    with pytest.raises(ConfigError, match='has no test_dataloader'):
        ship(cfg, path, out, 'a')
    assert not out.exists()


def test_weights_of_another_model(request_of_saliency):
    cfg, path, out = request_of_saliency
    cfg.model.decode_head.channels = 8
    with pytest.raises(CheckpointError, match='does not fit the student'):
        ship(cfg, path, out, 'a')
    assert not out.exists()


@pytest.mark.parametrize('package', ['onnx', 'onnxruntime'])
def test_missing_packages_are_named(tmp_path, scenes, monkeypatch, package):
    for name in ('onnx', 'onnxruntime'):
        monkeypatch.setitem(sys.modules, name, None if name == package else object())
    with pytest.raises(UserError, match=f'{package}.*install'):
        ship(Config(dict(model={})), 'x.pth', tmp_path / 'out', 'a')
