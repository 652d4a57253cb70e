"""tools/train.py on data that would be misread: refused before the first step, or mended once."""

import json

import numpy as np
import pytest
from PIL import Image

from mmkd_sod.__main__ import main
from mmkd_sod.engine.run_results import last_scores
from tests.runs import DEMO, TINY_STUDENT, on, tool
from tests.test_tools.test_mmseg_train import write_camvid

SEGMENTOR = 'configs/demo/camvid_pspnet_student.py'


def changed(scenes, folder, split, change) -> str:
    """Write a changed copy of an annotation file; return its path."""
    content = json.loads((scenes / f'annotations/{split}.json').read_text())
    change(content)
    path = folder / f'{split}.json'
    path.write_text(json.dumps(content))
    return str(path)


def train(scenes, work_dir, *options) -> None:
    tool(
        'train',
        DEMO.format('student'),
        '--work-dir',
        work_dir,
        cfg_options=(*on(scenes), *TINY_STUDENT, 'train_dataloader.dataset.indices=4', *options),
    )


def refused(capsys, run) -> str:
    with pytest.raises(SystemExit) as exit_info:
        run()
    assert exit_info.value.code == 2
    shown = capsys.readouterr()
    assert 'Epoch(train)' not in shown.out + shown.err and 'Traceback' not in shown.err
    return shown.err.strip().split('\n')[-1]


def reverse(content):
    content['categories'].reverse()


def rename_first(content):
    content['categories'][0]['name'] = content['categories'][0]['name'].capitalize() + 's'


def remove_first(content):
    gone = content['categories'].pop(0)['id']
    content['annotations'] = [a for a in content['annotations'] if a['category_id'] != gone]


def remove_last(content):
    gone = content['categories'].pop()['id']
    content['annotations'] = [a for a in content['annotations'] if a['category_id'] != gone]


@pytest.mark.parametrize(
    'change, reason',
    [(reverse, 'its order is'), (rename_first, 'perhaps'), (remove_first, 'it has no')],
)
def test_classes_that_would_get_wrong_labels_are_refused(scenes, tmp_path, capsys, change, reason):
    path = changed(scenes, tmp_path, 'train', change)
    text = refused(
        capsys, lambda: train(scenes, tmp_path / 'w', f'train_dataloader.dataset.ann_file={path}')
    )
    assert reason in text and 'mmdet would label' in text and path in text


def test_an_absent_last_class_and_a_json_without_defaults_train(scenes, tmp_path, capfd):
    """Labels are right in both cases; each is said once, and the evaluation runs."""

    def without_defaults(content):
        for annotation in content['annotations']:
            annotation.pop('iscrowd', None)
            annotation.pop('area', None)

    train_file = changed(scenes, tmp_path, 'train', remove_last)
    val_file = changed(scenes, tmp_path, 'val', without_defaults)
    options = [
        f'train_dataloader.dataset.ann_file={train_file}',
        f'val_dataloader.dataset.ann_file={val_file}',
        f'val_evaluator.ann_file={val_file}',
    ]
    train(scenes, tmp_path / 'w', *options)
    shown = capfd.readouterr()
    text = shown.out + shown.err
    assert 'has no category' in text
    for key in ('iscrowd', 'area'):
        assert text.count(f'annotations have no {key};') == 1
    assert 'coco/bbox_mAP' in last_scores(tmp_path / 'w')


def spoil(root, value: int) -> None:
    path = root / 'annotations/train/0.png'
    labels = np.asarray(Image.open(path)).copy()
    labels[:8, :8] = value
    Image.fromarray(labels).save(path)


def camvid_options(root) -> list:
    options = ['train_dataloader.batch_size=2', 'train_cfg.max_epochs=1']
    for loader in ('train', 'val', 'test'):
        options += [
            f'{loader}_dataloader.num_workers=0',
            f'{loader}_dataloader.persistent_workers=False',
            f'{loader}_dataloader.dataset.data_root={root}',
        ]
    return options


def test_label_maps_out_of_range_are_refused_and_counted(tmp_path, capsys):
    root = tmp_path / 'camvid'
    write_camvid(root)
    spoil(root, 200)
    options = camvid_options(root)
    text = refused(
        capsys, lambda: tool('train', SEGMENTOR, '--work-dir', tmp_path / 'w', cfg_options=options)
    )
    assert '0.png' in text and '200' in text
    with pytest.raises(SystemExit) as exit_info:
        main(['doctor', SEGMENTOR, '--cfg-options', *options])
    assert exit_info.value.code == 1
    shown = capsys.readouterr().out
    assert 'train, 4 label maps:' in shown and '200' in shown and '0.png' in shown
