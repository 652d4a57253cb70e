"""predict.py and generate_weak_labels.py on the command line."""

import importlib.util
import sys

import cv2
import pytest

from tests.conftest import ROOT
from tests.saliency import save_network
from tests.sod_data import write_set


def run(monkeypatch, tool, *args):
    spec = importlib.util.spec_from_file_location(tool, ROOT / f'tools/{tool}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(sys, 'argv', [f'{tool}.py', *map(str, args)])
    module.run_tool(module.main)


@pytest.fixture
def files(tmp_path):
    return save_network(tmp_path), write_set(tmp_path / 'set')


def test_predict(files, tmp_path, monkeypatch, capsys):
    (config, checkpoint), root = files
    (root / 'image/9.jpg').write_bytes(b'broken')
    args = (config, checkpoint, root / 'image', '--out-dir', tmp_path / 'out', '--side', 32)
    run(monkeypatch, 'predict', *args)
    told = capsys.readouterr().out
    assert '3 written, 1 skipped' in told and '9.jpg' in told
    shape = cv2.imread(str(root / 'image/1.png')).shape
    for kind, channels in (('maps', None), ('overlays', 3), ('cutouts', 4)):
        made = cv2.imread(str(tmp_path / 'out' / kind / '1.png'), cv2.IMREAD_UNCHANGED)
        assert made.shape == shape[:2] + ((channels,) if channels else ())
    run(monkeypatch, 'predict', *args)
    assert '0 written, 3 already existed, 1 skipped' in capsys.readouterr().out


def test_predict_fails_when_nothing_can_be_read(files, tmp_path, monkeypatch, capsys):
    (config, checkpoint), _ = files
    (tmp_path / 'x.jpg').write_bytes(b'broken')
    with pytest.raises(SystemExit, match='2'):
        run(
            monkeypatch,
            'predict',
            config,
            checkpoint,
            tmp_path / 'x.jpg',
            '--out-dir',
            tmp_path / 'out',
        )
    assert 'none of the inputs could be read' in capsys.readouterr().err


def test_generate_weak_labels(files, tmp_path, monkeypatch, capsys):
    (config, checkpoint), root = files
    args = (
        config,
        checkpoint,
        '--out',
        tmp_path / 'labels',
        '--side',
        32,
        '--images',
        root / 'image',
    )
    monkeypatch.setenv('RANK', '0')
    monkeypatch.setenv('WORLD_SIZE', '2')
    run(monkeypatch, 'generate_weak_labels', *args)
    assert 'other ranks are still running' in capsys.readouterr().out
    monkeypatch.setenv('RANK', '1')
    run(monkeypatch, 'generate_weak_labels', *args)
    assert '3 of 3 images kept' in capsys.readouterr().out
    assert (tmp_path / 'labels/image/2.png').exists()


def test_generate_weak_labels_of_a_training_config(files, tmp_path, monkeypatch, capsys):
    (config, checkpoint), root = files
    data = tmp_path / 'data.py'
    data.write_text(
        "train_dataloader = dict(dataset=dict(type='RepeatDataset', times=2, dataset="
        f"dict(type='mmkd_sod.SODDataset', name='S', data_root='{root}', pipeline=[1])"
        '))'
    )
    run(
        monkeypatch,
        'generate_weak_labels',
        config,
        checkpoint,
        '--out',
        tmp_path / 'labels',
        '--side',
        32,
        '--data',
        data,
    )
    assert (tmp_path / 'labels/S/2.png').exists()
    data.write_text("train_dataloader = dict(dataset=dict(type='mmseg.ADE20KDataset'))")
    with pytest.raises(SystemExit, match='2'):
        run(
            monkeypatch,
            'generate_weak_labels',
            config,
            checkpoint,
            '--out',
            tmp_path / 'l',
            '--data',
            data,
        )
    assert 'trains on a mmseg.ADE20KDataset' in capsys.readouterr().err


def test_compare_saliency(files, tmp_path, monkeypatch, capsys):
    (config, checkpoint), root = files
    data = tmp_path / 'data.py'
    data.write_text(
        "test_dataloader = dict(dataset=dict(type='mmkd_sod.SODDataset', name='S', "
        f"data_root='{root}', pipeline=[1]))"
    )
    run(
        monkeypatch,
        'compare_saliency',
        '--data',
        data,
        '--side',
        32,
        '--rows',
        2,
        '--out',
        tmp_path / 'out',
        '--model',
        'one',
        config,
        checkpoint,
    )
    table = capsys.readouterr().out.splitlines()
    assert table[-3].split(' | ')[1:3] == ['MAE', 'Smeasure'] and table[-1].startswith('one | 0.')
    assert (tmp_path / 'out/panel.png').exists() and (tmp_path / 'out/scores.json').exists()
