"""Pascal VOC to COCO."""

import json
from collections import Counter

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from mmkd_sod.datasets.voc import convert, convert_split, find_classes, read_split, read_xml
from mmkd_sod.errors import ConfigError, DataError

SIZE = '<size><width>64</width><height>48</height><depth>3</depth></size>'


def thing(name, box, difficult='<difficult>0</difficult>'):
    tags = ''.join(
        f'<{tag}>{value}</{tag}>'
        for tag, value in zip(('xmin', 'ymin', 'xmax', 'ymax'), box, strict=True)
    )
    return f'<object><name>{name}</name>{difficult}<bndbox>{tags}</bndbox></object>'


class Voc:
    """A small VOC folder."""

    def __init__(self, root):
        self.root = root
        for folder in ('Annotations', 'JPEGImages', 'ImageSets/Main'):
            (root / folder).mkdir(parents=True)

    def add(self, name, *objects, size=SIZE):
        self.write_xml(name, f'<annotation>{size}{"".join(objects)}</annotation>')
        cv2.imwrite(str(self.root / 'JPEGImages' / f'{name}.jpg'), np.zeros((48, 64, 3), np.uint8))

    def write_xml(self, name, text):
        (self.root / 'Annotations' / f'{name}.xml').write_text(text)

    def split(self, name, *names):
        (self.root / 'ImageSets' / 'Main' / f'{name}.txt').write_text('\n'.join(names) + '\n')


@pytest.fixture
def voc(tmp_path):
    """Write two splits: cat and dog in train, one dog in val."""
    voc = Voc(tmp_path / 'voc')
    voc.add('a', thing('dog', (1, 1, 64, 48)), thing('cat', (11, 21, 31, 26)))
    voc.add('b', thing('dog', (5, 6, 25, 16)))
    voc.split('train', 'a')
    voc.split('val', 'b  1')  # with the second column of VOC's lists by class
    return voc


def test_boxes_are_those_of_mmdet(voc):
    content, report = convert_split(voc.root, 'train', ['cat', 'dog'])
    assert [annotation['bbox'] for annotation in content['annotations']] == [
        [0, 0, 63, 47],
        [10, 20, 20, 5],
    ]
    assert [annotation['category_id'] for annotation in content['annotations']] == [2, 1]
    assert [annotation['area'] for annotation in content['annotations']] == [63 * 47, 100]
    assert content['images'] == [dict(id=1, file_name='a.jpg', width=64, height=48)]
    assert report.boxes == Counter(dog=1, cat=1) and report.images == 1
    assert not (report.dropped or report.clipped or report.sizes or report.empty)


def test_mmdet_reads_the_same_boxes(voc):
    pytest.importorskip('mmdet')
    from mmdet.datasets import VOCDataset

    dataset = VOCDataset(
        data_root=str(voc.root),
        ann_file='ImageSets/Main/train.txt',
        data_prefix=dict(sub_data_root=''),
        metainfo=dict(classes=('cat', 'dog')),
        pipeline=[],
    )
    content, _ = convert_split(voc.root, 'train', ['cat', 'dog'])
    for instance, annotation in zip(
        dataset.get_data_info(0)['instances'], content['annotations'], strict=True
    ):
        x, y, width, height = annotation['bbox']
        assert instance['bbox'] == [x, y, x + width, y + height]
        assert instance['bbox_label'] == annotation['category_id'] - 1


def test_convert_writes_what_pycocotools_reads(voc, tmp_path, capsys):
    reports = convert(voc.root, tmp_path / 'out', progress=False)
    assert [report.split for report in reports] == ['train', 'val']
    coco = COCO(str(tmp_path / 'out' / 'train.json'))
    assert [category['name'] for category in coco.loadCats(coco.getCatIds())] == ['cat', 'dog']
    # The order of classes is the same in all splits, also if a split lacks a class.
    val = json.loads((tmp_path / 'out' / 'val.json').read_text())
    assert [category['name'] for category in val['categories']] == ['cat', 'dog']
    assert val['annotations'][0]['category_id'] == 2
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == ['train.json', 'val.json']


def test_class_order_can_be_given(voc, tmp_path):
    convert(voc.root, tmp_path / 'out', ['train'], ['dog', 'cat'], progress=False)
    content = json.loads((tmp_path / 'out' / 'train.json').read_text())
    assert content['categories'] == [dict(id=1, name='dog'), dict(id=2, name='cat')]
    with pytest.raises(ConfigError, match='contain a name twice'):
        convert(voc.root, tmp_path / 'out', ['train'], ['dog', 'dog'], progress=False)


def test_find_classes(voc):
    assert find_classes(voc.root, ['train', 'val']) == ['cat', 'dog']
    assert find_classes(voc.root, ['val']) == ['dog']


def test_clipped_and_dropped_boxes_are_reported(voc):
    voc.add(
        'c',
        thing('cat', (-4, 10, 20, 60)),
        thing('cat', (9, 9, 9, 30)),
        thing('cat', (30, 9, 20, 30)),
        thing('cat', (70, 1, 90, 30)),
    )
    voc.add('d', thing('cat', (5, 5, 5, 5)))
    voc.split('train', 'c', 'd')
    content, report = convert_split(voc.root, 'train', ['cat'])
    assert [annotation['bbox'] for annotation in content['annotations']] == [[0, 9, 19, 39]]
    assert report.clipped == ['c.xml: cat (-4, 10, 20, 60)']
    assert report.dropped == [
        'c.xml: cat (9, 9, 9, 30)',
        'c.xml: cat (30, 9, 20, 30)',
        'c.xml: cat (70, 1, 90, 30)',
        'd.xml: cat (5, 5, 5, 5)',
    ]
    assert report.boxes == Counter(cat=1) and report.empty == ['d.jpg']


@pytest.mark.parametrize(
    'size, said',
    [
        ('', 'a.xml: no size; the image has 64 x 48'),
        (SIZE.replace('64', '640'), 'a.xml: 640 x 48 stated; the image has 64 x 48'),
    ],
)
def test_size_comes_from_the_picture(voc, size, said):
    voc.add('a', thing('cat', (1, 1, 9, 9)), size=size)
    content, report = convert_split(voc.root, 'train', ['cat'])
    assert (content['images'][0]['width'], content['images'][0]['height']) == (64, 48)
    assert report.sizes == [said]


@pytest.mark.parametrize('option, crowd', [('ignore', [0, 1]), ('keep', [0, 0]), ('drop', [0])])
def test_difficult(voc, option, crowd):
    voc.add(
        'a', thing('cat', (1, 1, 9, 9), ''), thing('cat', (1, 1, 9, 9), '<difficult>1</difficult>')
    )
    content, report = convert_split(voc.root, 'train', ['cat'], option)
    assert [annotation['iscrowd'] for annotation in content['annotations']] == crowd
    assert report.difficult == 1
    with pytest.raises(ConfigError, match="difficult='maybe' is unknown; use one of ignore"):
        convert_split(voc.root, 'train', ['cat'], 'maybe')


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x "xxxxxxxxxx"><!ENTITY y "&x;&x;&x;&x;">]>'
    '<annotation><object><name>&y;</name></object></annotation>'
)
OUTSIDE = (
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]>'
    '<annotation><object><name>&x;</name></object></annotation>'
)


@pytest.mark.parametrize(
    'text, said',
    [
        (BOMB, 'DOCTYPE'),
        (OUTSIDE, 'DOCTYPE'),
        ('<!DOCTYPE annotation><annotation/>', 'DOCTYPE'),
        ('<annotation><object>', 'is not readable xml'),
        ('', 'is not readable xml'),
        (f'<annotation>{SIZE}<object><name>cat</name></object></annotation>', '<bndbox>'),
        (f'<annotation>{SIZE}<object/></annotation>', 'has no <name>'),
        (f'<annotation>{SIZE}{thing("cat", (1, 1, "wide", 9))}</annotation>', 'must be a number'),
        (f'<annotation>{SIZE}{thing("cat", (1, 1, "inf", 9))}</annotation>', 'must be a number'),
        (
            f'<annotation>{SIZE}{thing("cow", (1, 1, 9, 9))}</annotation>',
            "class 'cow' is not one of",
        ),
    ],
)
def test_bad_xml_is_named(voc, text, said):
    voc.write_xml('a', text)
    with pytest.raises(DataError, match=said) as caught:
        convert_split(voc.root, 'train', ['cat'])
    assert 'a.xml' in str(caught.value) and '\n' not in str(caught.value)


def test_doctype_is_refused_in_other_encodings(voc):
    path = voc.root / 'Annotations' / 'a.xml'
    path.write_bytes(BOMB.replace('<?xml version="1.0"?>', '').encode('utf-16'))
    with pytest.raises(DataError, match='DOCTYPE'):
        read_xml(path)


def test_missing_and_broken_files_are_named(voc):
    picture = voc.root / 'JPEGImages' / 'a.jpg'
    picture.write_bytes(b'no picture')
    with pytest.raises(DataError, match=r"a\.jpg' cannot be read"):
        convert_split(voc.root, 'train', ['cat', 'dog'])
    picture.unlink()
    with pytest.raises(DataError, match=r"a\.jpg' does not exist"):
        convert_split(voc.root, 'train', ['cat', 'dog'])
    (voc.root / 'Annotations' / 'a.xml').unlink()
    with pytest.raises(DataError, match=r"a\.xml' does not exist"):
        convert_split(voc.root, 'train', ['cat', 'dog'])
    with pytest.raises(DataError, match=r"test\.txt' does not exist"):
        convert_split(voc.root, 'test', ['cat', 'dog'])


@pytest.mark.parametrize(
    'names, said',
    [
        (['../a'], 'not a plain image name'),
        (['a', 'a'], 'lists a 2 times'),
        ([], 'lists no images'),
    ],
)
def test_bad_lists_are_named(voc, names, said):
    voc.split('train', *names)
    with pytest.raises(DataError, match=said) as caught:
        read_split(voc.root, 'train')
    assert 'train.txt' in str(caught.value)


def test_a_folder_without_splits(tmp_path):
    with pytest.raises(DataError, match=r'has none of ImageSets/Main'):
        convert(tmp_path, tmp_path / 'out', progress=False)


def test_nothing_is_overwritten_unless_forced(voc, tmp_path):
    out = tmp_path / 'out'
    convert(voc.root, out, progress=False)
    convert(voc.root, out, progress=False)  # the same content: fine
    train = (out / 'train.json').read_text()
    (out / 'val.json').write_text('{"mine": 1}')
    voc.add('a', thing('cat', (1, 1, 9, 9)))
    voc.add('b', thing('dog', (1, 1, 9, 9)))
    with pytest.raises(DataError, match=r"train\.json' exists with other content"):
        convert(voc.root, out, progress=False)
    assert (out / 'train.json').read_text() == train
    assert (out / 'val.json').read_text() == '{"mine": 1}'
    convert(voc.root, out, force=True, progress=False)
    assert json.loads((out / 'val.json').read_text())['images'][0]['file_name'] == 'b.jpg'


def test_names_with_capital_suffix(voc):
    path = voc.root / 'JPEGImages' / 'a.jpg'
    path.rename(path.with_suffix('.JPG'))
    content, _ = convert_split(voc.root, 'train', ['cat', 'dog'])
    assert content['images'][0]['file_name'] == 'a.JPG'
