"""Finding runs in work folders and reading mmengine's files."""

import pytest
import torch

from mmkd_sod.errors import DataError
from mmkd_sod.report.runs import find_runs, metrics_of, parse_table, read_run
from tests.work_dirs import STUDENT, TRAIN, work_dir

LOG = """01/01 00:00:00 - mmengine - INFO - per class results:
01/01 00:00:00 - mmengine - INFO - 
+-------+-------+-------+
| Class |  IoU  |  Acc  |
+-------+-------+-------+
|  Sky  |  91.5 |  95.0 |
|  Pole |  nan? |  3.25 |
+-------+-------+-------+
01/01 00:00:01 - mmengine - INFO - Iter(test) aAcc: 80
"""  # noqa: W291


def test_a_run_is_read_with_its_last_validation_and_seed(tmp_path):
    run = read_run(
        work_dir(
            tmp_path / 'run',
            STUDENT,
            seed=3,
            val=[{'mIoU': 10.0, 'step': 6}, {'mIoU': 20.0, 'time': 1.0, 'step': 12}],
        )
    )
    assert run.seed == 3 and run.by_epoch and run.config_name == 'net'
    assert sorted(run.train) == [record['step'] for record in TRAIN]
    assert run.scores('val') == {'mIoU': 20.0} and run.scores('test') == {}
    assert run.checkpoint is None


def test_classes_of_the_text_log_join_the_scores(tmp_path):
    run = read_run(work_dir(tmp_path / 'run', STUDENT, train=(), test={'mIoU': 50.0}, log=LOG))
    assert run.scores('test') == {
        'mIoU': 50.0,
        'IoU/class/Sky': 91.5,
        'Acc/class/Sky': 95.0,
        'Acc/class/Pole': 3.25,
    }
    assert parse_table('| a |') == {}


def test_the_tested_checkpoint_has_priority(tmp_path):
    folder = work_dir(tmp_path / 'run', STUDENT, test={'mIoU': 1.0}, load_from='x/best.pth')
    (folder / 'last_checkpoint').write_text('epoch_9.pth')
    torch.save({}, folder / 'epoch_9.pth')
    assert read_run(folder).checkpoint == folder / 'epoch_9.pth'
    (folder / 'best.pth').touch()
    assert read_run(folder).checkpoint == folder / 'best.pth'


def test_find_runs_in_subfolders_and_with_roles(tmp_path):
    for name in ('a', 'b'):
        work_dir(tmp_path / 'all' / name, STUDENT)
    runs = find_runs([str(tmp_path / 'all'), f'teacher={tmp_path}/all/b'])
    assert [(run.path.name, run.forced_role) for run in runs] == [('a', None), ('b', 'teacher')]


def test_bad_folders_are_named(tmp_path):
    with pytest.raises(DataError, match='is not a folder'):
        find_runs([str(tmp_path / 'absent')])
    with pytest.raises(DataError, match='has no runs'):
        find_runs([str(tmp_path)])
    folder = work_dir(tmp_path / 'run', STUDENT, test={})
    (folder / '20260101_000000' / '20260101_000000.json').write_text('[1]')
    assert 'has no scores' in read_run(folder).skipped[0]
    (folder / '20260101_000000' / 'vis_data' / 'config.py').write_text('model = (')
    with pytest.raises(DataError, match='cannot be read'):
        read_run(folder)


def test_bookkeeping_is_no_score():
    assert metrics_of(dict(step=1, time=2.0, mAP=0.5, name='x')) == dict(mAP=0.5)
