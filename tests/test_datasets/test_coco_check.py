"""Faults in annotation files are counted, and class names are compared."""

import json
import os

import pytest

from mmkd_sod.datasets.coco_check import compare_classes, examine_content, examine_file


def content(*boxes, names='ab', **more):
    annotations = [
        dict(dict(id=i, image_id=1, category_id=1, bbox=[1, 1, 5, 5]), **box)
        for i, box in enumerate(boxes, 1)
    ]
    return (
        dict(
            images=[dict(id=1, file_name='x.png', width=20, height=10)],
            annotations=annotations,
            categories=[dict(id=i, name=name) for i, name in enumerate(names, 1)],
        )
        | more
    )


GOOD = ({},) * 3


@pytest.mark.parametrize(
    'box, what, fatal',
    [
        (dict(bbox=[1, float('nan'), 5, 5]), 'boxes are NaN', True),
        (dict(bbox=[1, 1, float('inf'), 5]), 'boxes are NaN', True),
        (dict(bbox=[1, 1, -5, 5]), 'width or height is negative are not used', False),
        (dict(bbox=[1, 1, 0, 5]), 'below 1 pixel are not used', False),
        (dict(bbox=[30, 1, 5, 5]), 'outside of their image are not used', False),
        (dict(bbox=[15, 1, 15, 5]), 'reach out of their image', False),
        (dict(category_id=7), 'unknown category are not used', False),
        (dict(image_id=7), 'unknown image are not used', False),
        (dict(id=1), 'annotations share an id', True),
    ],
)
def test_faults(box, what, fatal):
    (finding,) = examine_content(content(*GOOD, box)).findings
    assert what in finding.what and finding.fatal is fatal and finding.count == 1
    assert finding.first.startswith(('annotation 4', 'id 1'))


def test_most_annotations_lost_is_fatal():
    (finding,) = examine_content(
        content(
            {}, *[dict(category_id=9)] * 1, dict(category_id=9, id=9), dict(category_id=9, id=8)
        )
    ).findings
    assert finding.fatal and finding.count == 3


def test_good_files_and_others(tmp_path):
    path = tmp_path / 'a.json'
    path.write_text(json.dumps(content(*GOOD)))
    assert examine_file(str(path)).findings == []
    assert examine_file(str(path)).categories == ['a', 'b']
    path.write_text('[1]')
    assert examine_file(str(path)) is None
    assert examine_file(str(tmp_path / 'none.json')) is None


@pytest.mark.parametrize(
    'classes, categories, fault, note',
    [
        ('abc', 'abc', '', ''),
        (
            'abc',
            'cba',
            "order is (c, b, a), that of the classes (a, b, c): mmdet would label 'c' as 'a'",
            '',
        ),
        (
            'abc',
            'ac',
            "it has no (b), so that the labels of others shift: mmdet would label 'c'",
            '',
        ),
        ('abc', 'ab', '', 'has no category (c)'),
        ('ab', 'abz', '', 'has categories that are not classes and are not used: (z)'),
        ('ab', 'xyz', 'its categories (x, y, z) are none of (a, b)', ''),
        (['car', 'person'], ['car', 'Person'], '', "perhaps 'Person' for 'person'"),
    ],
)
def test_class_names(classes, categories, fault, note):
    found = compare_classes(list(classes), list(categories))
    assert fault in found[0] and note in found[1]
    assert bool(found[0]) == bool(fault) and bool(found[1]) == bool(note)


def test_a_pipe_is_not_read(tmp_path):
    os.mkfifo(tmp_path / 'a.json')
    assert examine_file(str(tmp_path / 'a.json')) is None
