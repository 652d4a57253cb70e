"""Complete reports: faulty configs are reported, valid ones are ok."""

import re

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmkd_sod.doctor import examine_config
from mmkd_sod.doctor.examine import SECTIONS
from mmkd_sod.models.builder import build_model
from tests.conftest import ROOT
from tests.doctor import examine, tiny_config

DISTILLED = sorted(
    path
    for path in (ROOT / 'configs/demo').glob('*.py')
    if path.stem.split('_')[-1] in ('crosskd', 'cskd', 'hkd', 'pnlad', 'kd')
)


def has(report, pattern: str) -> bool:
    return any(re.search(pattern, text) for text in report.findings('error'))


def test_a_plain_config_is_ok_and_writes_nothing(scenes, tmp_path):
    titles = []
    report = examine(scenes, f'work_dir={tmp_path}/out', run='student', on_section=titles.append)
    assert report.exit_code == 0, report.as_text()
    assert report.as_text().splitlines()[-1].startswith('ok: no errors')
    assert titles == [module.TITLE for module in SECTIONS]
    assert not (tmp_path / 'out').exists()


def test_a_random_teacher_is_reported(report):
    assert report.exit_code == 1
    assert has(report, 'the teacher is random: none of its weights was loaded')
    # The rest of the run would go.
    assert {
        found.name: found.level for found in report.sections if found.level == 'error'
    }.keys() <= {'weights', 'score', 'losses'}


def test_a_checkpoint_of_an_untrained_teacher_is_reported(scenes, tmp_path):
    cfg = tiny_config(scenes)
    init_default_scope('mmdet')
    teacher = build_model(cfg.model.teacher)
    teacher.init_weights()
    torch.save(dict(state_dict=teacher.state_dict()), tmp_path / 'teacher.pth')
    report = examine(
        scenes, f'model.teacher_ckpt={tmp_path}/teacher.pth', 'model.teacher_allow_missing=[]'
    )
    assert report.exit_code == 1 and not has(report, 'none of its weights')
    assert has(report, 'the teacher (is no better than a random one|predicts nothing)')


def test_a_teacher_without_a_checkpoint_is_reported(scenes):
    report = examine(scenes, 'model.teacher_allow_missing=[]')
    assert report.exit_code == 1 and has(report, 'the teacher would be random')
    assert [found.level for found in report.sections][-5:] == ['skipped'] * 5


def test_a_wrong_class_count_is_reported(scenes):
    report = examine(
        scenes, *(f'model.{part}.bbox_head.num_classes=4' for part in ('architecture', 'teacher'))
    )
    assert report.exit_code == 1
    assert has(report, r"the student's bbox_head has 4 classes, the data have 6 \(disk, square")


def test_a_teacher_of_other_classes_is_reported(scenes):
    report = examine(scenes, 'model.teacher.bbox_head.num_classes=4')
    assert report.exit_code == 1
    assert has(report, 'classes of the heads must agree, student 6, teacher 4')


def test_missing_data_are_reported_on_both_sides(scenes, tmp_path):
    report = examine(
        scenes,
        *(f'{name}_dataloader.dataset.data_root={tmp_path}/none/' for name in ('train', 'val')),
    )
    assert report.exit_code == 1
    for name in ('train', 'val'):
        assert has(
            report, f"{name}_dataloader.*'{tmp_path}/none/annotations/{name}.json'.*does not exist"
        )


def test_weights_a_thousand_times_too_large_are_reported(scenes, report):
    weights = dict(loss_cls_kd=1000.0, loss_reg_kd=4000.0)
    found = examine(
        scenes,
        *(f'model.distiller.{term}.loss_weight={weight}' for term, weight in weights.items()),
    )
    assert found.exit_code == 1
    advice = found.as_dict()['sections']['losses']['advice']
    for term, weight in weights.items():
        assert has(
            found,
            rf'distill\.{term} is too large: .*model\.distiller\.{term}\.'
            rf'loss_weight=[0-9.e+-]+ \(now {weight:g}\)',
        )
        # The published weight is not reported.
        assert not has(report, f'{term} is too large')
        assert 0 < advice[f'distill.{term}']['suggested'] < weight / 100


def test_features_of_other_size_are_reported(scenes):
    report = examine(
        scenes,
        'model.teacher.neck.out_channels=32',
        'model.teacher.bbox_head.in_channels=32',
        'model.teacher.bbox_head.feat_channels=32',
    )
    assert report.exit_code == 1
    assert has(report, 'needs equal tower channels, student 64, teacher 32')


def test_pyramids_that_a_loss_would_cut_silently_are_reported(scenes):
    cfg = tiny_config(
        scenes,
        'model.teacher.neck.num_outs=4',
        'model.teacher.bbox_head.anchor_generator.strides=[8,16,32,64]',
    )
    pkd = Config.fromfile(ROOT / 'configs/_base_/distillers/pkd.py').pkd
    cfg.model.distiller = pkd
    report = examine_config(cfg, images=1, steps=1)
    assert report.exit_code == 1
    assert has(report, 'preds_S has 5 levels, preds_T 4')


@pytest.mark.slow
@pytest.mark.parametrize('path', DISTILLED, ids=lambda path: path.stem)
def test_demo_configs_are_ok(path):
    """Test the demo configs whose data and teacher exist in this checkout."""
    cfg = Config.fromfile(path)
    report = examine_config(cfg)
    absent = [text for text in report.findings('error') if 'does not exist' in text]
    if absent:
        pytest.skip(absent[0])
    assert report.exit_code == 0, report.as_text()
