"""The doctor's lines on label maps and padding."""

import numpy as np
import pytest
import torch
from mmseg.models.decode_heads import FCNHead
from PIL import Image
from torch import nn

from mmkd_sod.doctor.label_maps import describe_label_maps, describe_padding, padding_share
from mmkd_sod.doctor.report import Section


class Set(list):
    metainfo = dict(classes=('road', 'car', 'tree'))

    def get_data_info(self, index):
        return self[index]


def describe(folder, values):
    path = str(folder / 'a.png')
    Image.fromarray(np.array([values], np.uint8)).save(path)
    head = FCNHead(in_channels=4, channels=4, num_convs=1, num_classes=3)
    section = Section('data', 'Data')
    describe_label_maps(Set([dict(seg_map_path=path)]), 'train', nn.ModuleList([head]), section)
    return section


def texts(section):
    return ' '.join(finding.text for finding in section.findings)


def test_shares_ignored_pixels_and_classes_never_seen(tmp_path):
    section = describe(tmp_path, [0, 0, 0, 1, 255, 255, 255, 255, 255, 255])
    assert 'road 30.0%, car 10.0%; ignored 60.0%' in ' '.join(section.lines)
    assert '1 of 3 classes are in none of 1 label maps (tree)' in texts(section)
    assert '60% of the pixels are ignored' in texts(section)


def test_values_that_are_no_classes(tmp_path):
    assert "a.png' has the value 7" in texts(describe(tmp_path, [0, 7]))


def test_padding():
    assert padding_share([(3, 10, 20), (3, 20, 10)]) == pytest.approx(0.5)
    section = Section('data', 'Data')
    describe_padding([torch.zeros(3, 5, 40), torch.zeros(3, 40, 5)], section)
    assert '88% of the batch is padding' in texts(section) + ' '.join(section.lines)
    clean = Section('data', 'Data')
    describe_padding([torch.zeros(3, 8, 8)] * 2, clean)
    assert clean.data['padding'] == 0 and not clean.findings
