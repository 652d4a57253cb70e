"""Final scores: which split, which tables, which gains."""

import pytest

from mmkd_sod.report.runs import find_runs
from mmkd_sod.report.scores import head_metric, keys_of, main_split, score_blocks
from mmkd_sod.report.studies import group, join_tests
from tests.work_dirs import STUDENT, seeds, work_dir


def study_of(*places):
    return group(join_tests(find_runs([str(place) for place in places]))[0])[0]


def test_means_spread_and_paired_gain(tmp_path):
    study = study_of(seeds(tmp_path, {0: (0.6, 0.40, 0.50), 1: (0.7, 0.50, 0.62)}))
    assert main_split(study) == 'test' and keys_of(study, 'test') == ['coco/bbox_mAP']
    page = score_blocks(study)
    for text in (
        '65.0 ± 7.1',
        '45.0 ± 7.1',
        '56.0 ± 8.5',
        '+11.0 ± 1.4',
        'paired by seed, 2 pairs',
        'AP on the test split',
        'validation split, last checkpoint',
    ):
        assert text in page


def test_validation_is_used_if_a_test_is_missing(tmp_path):
    seeds(tmp_path, {0: (0.6, 0.4, 0.5)})
    study = study_of(tmp_path / '0' / 'plain', tmp_path / '0' / 'kd')
    assert main_split(study) == 'val'
    assert '+10.0' in score_blocks(study)


def test_mae_gains_are_good_when_negative(tmp_path):
    study = study_of(seeds(tmp_path, {0: (0.03, 0.06, 0.04)}, key='sod/MAE'))
    page = score_blocks(study)
    assert 'MAE ↓' in page and 'lower is better' in page
    assert '<td class="good">−0.0200</td>' in page


@pytest.mark.parametrize(
    'keys, title',
    [
        (('coco/bbox_mAP_s', 'coco/bbox_mAP_l'), 'AP by object size: CrossKD − Plain'),
        (('coco/RBC_precision',), 'AP by class: CrossKD − Plain'),
        (('sod/ECSSD/MAE', 'sod/DUTS/MAE'), 'MAE by data set: CrossKD − Plain'),
    ],
)
def test_gains_by_member(tmp_path, keys, title):
    for key in ('whole', *keys):
        seeds(tmp_path / key.replace('/', '_'), {0: (0.6, 0.4, 0.5)}, key=key)
    study = study_of(tmp_path)
    page = score_blocks(study)
    assert title in page and 'As a table' in page


def test_the_requested_metric_comes_first(tmp_path):
    study = study_of(work_dir(tmp_path / 'a', STUDENT, val=[{'mIoU': 1.0, 'aAcc': 2.0, 'step': 1}]))
    assert head_metric(study, 'val').key == 'mIoU'
    assert head_metric(study, 'val', 'aAcc').key == 'aAcc'


def test_a_run_without_scores_is_reported(tmp_path):
    assert 'No run has logged a score' in score_blocks(study_of(work_dir(tmp_path / 'a', STUDENT)))
