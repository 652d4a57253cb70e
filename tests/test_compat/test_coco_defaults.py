"""Annotations without iscrowd or area are completed in memory."""

import json

from mmdet.datasets.api_wrappers import COCO

from mmkd_sod.compat.coco_defaults import fill_defaults


def test_defaults_are_filled_in_where_they_are_missing():
    annotations = [dict(bbox=[0, 0, 3, 4]), dict(bbox=[0, 0, 3, 4], area=5, iscrowd=1)]
    assert fill_defaults(annotations) == dict(iscrowd=1, area=1)
    assert [(entry['area'], entry['iscrowd']) for entry in annotations] == [(12, 0), (5, 1)]


def test_a_file_is_read_and_not_changed(tmp_path):
    path = tmp_path / 'val.json'
    content = json.dumps(
        dict(
            images=[dict(id=1, file_name='a.png', width=9, height=9)],
            annotations=[dict(id=1, image_id=1, category_id=1, bbox=[0, 0, 3, 4])],
            categories=[dict(id=1, name='a')],
        )
    )
    path.write_text(content)
    (entry,) = COCO(str(path)).load_anns([1])
    assert entry['area'] == 12 and entry['iscrowd'] == 0
    assert path.read_text() == content
