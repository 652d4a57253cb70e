"""Comparing segmentors on a small set, by function and by tool."""

import json

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmkd_sod.apis.segmentation_comparison import compare_segmentors
from mmkd_sod.errors import CheckpointError
from mmkd_sod.models.builder import build_model
from mmkd_sod.models.student import load_model
from mmkd_sod.registry import DATASETS
from tests.runs import ROOT, tool
from tests.test_tools.test_mmseg_train import write_camvid

STUDENT = str(ROOT / 'configs/demo/camvid_pspnet_student.py')


def load(config, checkpoint):
    return load_model(Config.fromfile(config), checkpoint, 'cpu')


@pytest.fixture
def pair(tmp_path):
    """Return a set and checkpoints of two students that predict class 0 and class 4 everywhere."""
    write_camvid(tmp_path / 'camvid')
    init_default_scope('mmseg')
    paths = []
    for seed in range(2):
        state = build_model(Config.fromfile(STUDENT).model).state_dict()
        state['decode_head.conv_seg.bias'][4 * seed] = 100  # predicts this class everywhere
        path = tmp_path / f'{seed}.pth'
        torch.save(dict(state_dict=state), path)
        paths.append(str(path))
    config = tmp_path / 'data.py'
    config.write_text(
        f"_base_ = ['{STUDENT}']\n"
        f"test_dataloader = dict(dataset=dict(data_root='{tmp_path}/camvid'))\n"
    )
    return config, paths


def test_scores_and_selected_images(pair):
    config, (first, second) = pair
    models = dict(a=load(STUDENT, first), b=load(STUDENT, second))
    dataset = DATASETS.build(Config.fromfile(config).test_dataloader.dataset)
    scores, pictures = compare_segmentors(models, dataset, shown=[1, 3])
    assert scores['a'] != scores['b'] and set(scores['a']) == {'aAcc', 'mIoU', 'mAcc'}
    assert {title: len(maps) for title, maps in pictures.items()} == dict.fromkeys(
        ('image', 'truth', 'a', 'b'), 2
    )
    assert all(m.shape == (72, 96) for title in ('truth', 'a', 'b') for m in pictures[title])
    hits = sum(int((a == t).sum()) for a, t in zip(pictures['a'], pictures['truth'], strict=True))
    alone, _ = compare_segmentors(dict(a=models['a']), _Two(dataset))
    assert alone['a']['aAcc'] == pytest.approx(100 * hits / (2 * 72 * 96), abs=0.01)


class _Two:
    """The second and the fourth image of a set."""

    def __init__(self, dataset):
        self.dataset, self.metainfo = dataset, dataset.metainfo

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return self.dataset[(1, 3)[index]]


def test_weights_of_another_model_are_refused(pair):
    teacher = str(ROOT / 'configs/demo/camvid_pspnet_teacher.py')
    with pytest.raises(CheckpointError, match=r"0\.pth' does not fit the model of .*teacher\.py"):
        load(teacher, pair[1][0])


def test_tool_writes_scores_and_a_panel(pair, tmp_path, capsys):
    config, paths = pair
    models = [
        part
        for title, path in zip('ab', paths, strict=True)
        for part in ('--model', title, STUDENT, path)
    ]
    tool('compare_segmentors', '--data', config, *models, '--rows', 2, '--out', tmp_path / 'out')
    scores = json.loads((tmp_path / 'out/scores.json').read_text())
    assert f'a | {scores["a"]["aAcc"]:.2f} | ' in capsys.readouterr().out
    assert (tmp_path / 'out/panel.png').stat().st_size > 1000
    with pytest.raises(SystemExit):
        tool('compare_segmentors', '--data', config, *models, '--rows', 0, '--out', tmp_path)
    assert '--rows 0 must be at least 1' in capsys.readouterr().err
