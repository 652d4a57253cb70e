"""tools/test.py: test-time augmentation, or a reason why there is none."""

import pytest

from mmkd_sod.engine.run_results import newest_checkpoint
from tests.runs import DEMO, ROOT, TINY_STUDENT, on, tool

# As in mmdet's `rtmdet_tta.py`, on small images.
TTA = """
_base_ = ['{config}']
tta_model = dict(
    type='DetTTAModel', tta_cfg=dict(nms=dict(type='nms', iou_threshold=0.6), max_per_img=100))
tta_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='TestTimeAug', transforms=[
        [dict(type='Resize', scale=(160, 160), keep_ratio=True)],
        [dict(type='RandomFlip', prob=1.0), dict(type='RandomFlip', prob=0.0)],
        [dict(type='LoadAnnotations', with_bbox=True)],
        [dict(type='PackDetInputs', meta_keys=(
            'img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'flip',
            'flip_direction'))],
    ]),
]
"""


def test_tta_runs_or_says_what_is_missing(scenes, tmp_path, capfd):
    options = (*on(scenes), *TINY_STUDENT, 'train_dataloader.dataset.indices=4')
    config = DEMO.format('student')
    tool('train', config, '--work-dir', tmp_path / 'w', cfg_options=options)
    checkpoint = newest_checkpoint(tmp_path / 'w')
    capfd.readouterr()
    args = (checkpoint, '--tta', '--work-dir', tmp_path / 't')
    with pytest.raises(SystemExit) as exit_info:
        tool('test', config, *args, cfg_options=options)
    assert exit_info.value.code == 2
    assert 'has no tta_model and no tta_pipeline' in capfd.readouterr().err
    own = tmp_path / 'tta.py'
    own.write_text(TTA.format(config=ROOT / config))
    tool('test', own, *args, cfg_options=options)
    shown = capfd.readouterr()
    text = shown.out + shown.err
    assert 'coco/bbox_mAP' in text and 'unexpected key' not in text
