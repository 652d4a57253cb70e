"""The command around the VOC converter."""

import json
import runpy

import cv2
import numpy as np
import pytest

from mmkd_sod.errors import DataError


def test_voc_to_coco(root, tmp_path, capsys):
    main = runpy.run_path(str(root / 'tools/dataset_converters/voc_to_coco.py'))['main']
    voc = tmp_path / 'voc'
    for folder in ('Annotations', 'JPEGImages', 'ImageSets/Main'):
        (voc / folder).mkdir(parents=True)
    boxes = [
        '<object><name>cat</name><bndbox><xmin>1</xmin><ymin>1</ymin>'
        f'<xmax>{right}</xmax><ymax>9</ymax></bndbox></object>'
        for right in (9, 1)
    ]
    (voc / 'Annotations' / 'a.xml').write_text(f'<annotation>{"".join(boxes)}</annotation>')
    cv2.imwrite(str(voc / 'JPEGImages' / 'a.jpg'), np.zeros((10, 20, 3), np.uint8))
    (voc / 'ImageSets' / 'Main' / 'train.txt').write_text('a\n')
    link = tmp_path / 'linked'
    link.symlink_to(voc)
    before = sorted(voc.rglob('*'))

    main([str(link)])
    said = capsys.readouterr().out
    assert 'train: boxes without area, dropped: 1 (a.xml: cat (1, 1, 1, 9))' in said
    path = tmp_path / 'linked_coco' / 'annotations' / 'train.json'
    assert len(json.loads(path.read_text())['annotations']) == 1
    assert sorted(voc.rglob('*')) == before

    path.write_text('{}')
    with pytest.raises(DataError, match='--force'):
        main([str(link)])
    assert path.read_text() == '{}'
    main([str(link), '--force'])
    assert len(json.loads(path.read_text())['images']) == 1
