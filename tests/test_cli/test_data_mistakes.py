"""Annotation files are looked at once more, and what is wrong with them is named."""

import json

import pytest

from mmkd_sod.cli.data_mistakes import annotation_fault

GOOD = dict(
    images=[dict(id=1, file_name='a.jpg', height=4, width=4)],
    categories=[dict(id=1, name='cat')],
    annotations=[dict(id=1, image_id=1, category_id=1, bbox=[0, 0, 2, 2.5], area=5)],
)


def fault(tmp_path, content, coco=True):
    path = tmp_path / 'a.json'
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return annotation_fault(str(path), coco)


def test_a_sound_file_has_no_fault(tmp_path):
    assert fault(tmp_path, GOOD) is None


@pytest.mark.parametrize(
    ('content', 'named'),
    [
        ('{"images": [', 'is not valid JSON'),
        ([], 'contains a list'),
        ({**GOOD, 'images': None}, "no list 'images'"),
        ({**GOOD, 'images': [7]}, 'images[0] is 7; give a dict'),
        ({**GOOD, 'categories': [dict(id=1)]}, 'categories[0] has no name'),
        (
            {**GOOD, 'annotations': [{**GOOD['annotations'][0], 'bbox': [1, 2, 3]}]},
            'annotations[0].bbox is [1, 2, 3]',
        ),
    ],
)
def test_a_fault_is_named_with_its_place(tmp_path, content, named):
    assert named in fault(tmp_path, content)
    assert f"annotation file '{tmp_path}/a.json'" in fault(tmp_path, content)


def test_what_is_skipped_or_no_coco_is_not_blamed(tmp_path):
    ignored = {**GOOD, 'annotations': [dict(id=1, ignore=1)]}
    assert fault(tmp_path, ignored) is None
    assert fault(tmp_path, [1], coco=False) is None
    assert annotation_fault(str(tmp_path / 'a.xml'), False) is None


def test_a_missing_file_is_named(tmp_path):
    assert 'cannot be read (No such file or directory)' in annotation_fault(
        str(tmp_path / 'a.json'), True
    )
