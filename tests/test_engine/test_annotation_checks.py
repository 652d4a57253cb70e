"""Class names and boxes are checked before a run."""

import json

import pytest
import torch
from mmengine.config import Config

from mmkd_sod.engine.annotation_checks import check_teacher_classes
from mmkd_sod.engine.checks import check_data
from mmkd_sod.errors import ConfigError, DataError


def config(tmp_path, names='abc', classes='abc', boxes=([1, 1, 5, 5],), evaluator=None):
    for split, order in (('train', names), ('val', evaluator or names)):
        found = dict(
            images=[dict(id=1, file_name='x.png', width=20, height=10)],
            annotations=[
                dict(id=i, image_id=1, category_id=1, bbox=box) for i, box in enumerate(boxes)
            ],
            categories=[dict(id=i, name=name) for i, name in enumerate(order, 1)],
        )
        (tmp_path / f'{split}.json').write_text(json.dumps(found))
    dataset = dict(type='CocoDataset', ann_file='train.json', data_root=str(tmp_path), pipeline=[])
    if classes:
        dataset['metainfo'] = dict(classes=tuple(classes))
    return Config(
        dict(
            default_scope='mmdet',
            train_dataloader=dict(dataset=dict(type='RepeatDataset', times=2, dataset=dataset)),
            val_dataloader=dict(dataset=dataset),
            val_evaluator=dict(type='CocoMetric', ann_file=str(tmp_path / 'val.json')),
        )
    )


def test_the_same_names_in_the_same_order(tmp_path):
    check_data(config(tmp_path))


@pytest.mark.parametrize(
    'change, words',
    [
        (dict(names='cba'), 'its order is \\(c, b, a\\)'),
        (dict(names='ac'), 'has no \\(b\\)'),
        (dict(names='xyz'), 'are none of'),
        (dict(classes=None), 'are none of'),
        (dict(boxes=([1, 1, float('nan'), 5],)), "annotation 0 of 'x.png'"),
        (dict(evaluator='cba'), 'val_evaluator: annotation file'),
    ],
)
def test_refusals_name_file_and_setting(tmp_path, change, words):
    with pytest.raises(DataError, match=words) as error:
        check_data(config(tmp_path, **change))
    assert '.json' in str(error.value)


def test_teachers_with_the_classes_in_another_order(tmp_path):
    path = str(tmp_path / 'teacher.pth')
    torch.save(
        dict(state_dict=dict(a=torch.zeros(1)), meta=dict(dataset_meta=dict(classes=('b', 'a')))),
        path,
    )
    cfg = Config(dict(model=dict(teacher_ckpt=path, distiller=dict(type='x'))))
    with pytest.raises(ConfigError, match=r'order \(b, a\), the data \(a, b\)'):
        check_teacher_classes(cfg, ('a', 'b'))
    check_teacher_classes(cfg, ('b', 'a'))
    check_teacher_classes(cfg, ('a', 'b', 'c'))
    cfg.model.distiller.class_mapping = [1, 0]
    check_teacher_classes(cfg, ('a', 'b'))
