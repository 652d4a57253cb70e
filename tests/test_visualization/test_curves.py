"""Reading curves from mmengine's logs and plotting them."""

import json

import cv2
import pytest

from mmkd_sod.errors import DataError
from mmkd_sod.visualization.curves import plot_curves, read_scalars, running_mean

TRAIN = [
    dict(loss=3 - 0.1 * step, epoch=1 + step // 4, iter=step, step=step) for step in range(1, 9)
]
VAL = [{'coco/bbox_mAP': 0.1 * epoch, 'step': epoch} for epoch in (1, 2)]


def write_log(work_dir, records, time='20260101_000000'):
    path = work_dir / time / 'vis_data' / 'scalars.json'
    path.parent.mkdir(parents=True)
    path.write_text(''.join(json.dumps(record) + '\n' for record in records))
    return path


def test_read_scalars(tmp_path):
    write_log(tmp_path, TRAIN + VAL)
    run = read_scalars(tmp_path)
    assert run.loss == {step: 3 - 0.1 * step for step in range(1, 9)}
    assert run.metric == {1: 0.1, 2: 0.2} and run.by_epoch


def test_loss_of_a_distilled_student_is_its_own(tmp_path):
    write_log(
        tmp_path,
        [
            {
                'loss': 9.0,
                'student.loss_cls': 1.0,
                'student.loss_bbox': 2.0,
                'student.acc': 90.0,
                'distill.loss_cls_kd': 6.0,
                'step': 1,
                'iter': 1,
            }
        ],
    )
    run = read_scalars(tmp_path)
    assert run.loss == {1: 3.0} and not run.by_epoch


def test_the_later_log_of_a_resumed_run_is_used(tmp_path):
    write_log(tmp_path, [dict(loss=5.0, epoch=1, step=1), dict(loss=4.0, epoch=1, step=2)])
    write_log(tmp_path, [dict(loss=3.0, epoch=1, step=2)], '20260102_000000')
    assert read_scalars(tmp_path).loss == {1: 5.0, 2: 3.0}


def test_a_truncated_last_line_is_ignored(tmp_path):
    path = write_log(tmp_path, TRAIN)
    path.write_text(path.read_text() + '{"loss": 1')
    assert len(read_scalars(tmp_path).loss) == 8
    path.write_text('no json\n' + path.read_text())
    with pytest.raises(DataError, match="scalars.json' line 1"):
        read_scalars(tmp_path)


def test_missing_logs_are_named(tmp_path):
    with pytest.raises(DataError, match='train there first'):
        read_scalars(tmp_path)
    write_log(tmp_path, [dict(time=1.0, step=1)])
    with pytest.raises(DataError, match='neither a loss nor coco/bbox_mAP'):
        read_scalars(tmp_path)
    with pytest.raises(DataError, match='runs is empty'):
        plot_curves({}, tmp_path / 'curves.png')


def test_running_mean():
    assert running_mean([1, 2, 6, 3], 1) == [1, 3, 11 / 3, 3]
    assert running_mean([1, 2, 3], 0) == [1, 2, 3]
    assert running_mean([], 2) == []


def test_plot_curves(tmp_path):
    write_log(tmp_path / 'a', TRAIN + VAL)
    write_log(tmp_path / 'b', TRAIN)  # not validated yet
    path = tmp_path / 'new' / 'curves.png'
    plot_curves(dict(teacher=tmp_path / 'a', student=tmp_path / 'b'), path, title='Demo')
    picture = cv2.imread(str(path))
    assert picture.shape == (520, 1300, 3)
    # Both panels show the first run's blue (0, 114, 178).
    blue = (abs(picture.astype(int) - (178, 114, 0)).sum(axis=2) < 12).sum(axis=0)
    assert blue[:650].sum() > 50 and blue[650:].sum() > 50
    assert list(path.parent.iterdir()) == [path]


def test_a_run_that_diverged_is_drawn(tmp_path):
    write_log(tmp_path / 'a', [*TRAIN, dict(loss=float('nan'), epoch=3, step=9)])
    plot_curves(dict(a=tmp_path / 'a'), tmp_path / 'curves.png')
    assert cv2.imread(str(tmp_path / 'curves.png')) is not None
