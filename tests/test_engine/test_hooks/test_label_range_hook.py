"""Label maps with values that are no classes stop training by name."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.models.decode_heads import FCNHead
from mmseg.structures import SegDataSample
from PIL import Image
from torch import nn

from mmkd_sod.engine.hooks import LabelRangeHook
from mmkd_sod.engine.hooks.label_range_hook import label_range
from mmkd_sod.errors import DataError


class Set(list):
    def get_data_info(self, index):
        return self[index]


def runner(folder, values, classes=3, ignore_index=255):
    path = str(folder / 'a.png')
    Image.fromarray(np.array([values], np.uint8)).save(path)
    head = FCNHead(
        in_channels=4, channels=4, num_convs=1, num_classes=classes, ignore_index=ignore_index
    )
    wrapped = SimpleNamespace(dataset=Set([dict(seg_map_path=path)]))
    return SimpleNamespace(
        model=nn.ModuleList([head]), train_dataloader=SimpleNamespace(dataset=wrapped)
    )


def batch(*values):
    sample = SegDataSample(metainfo=dict(seg_map_path='b.png'))
    sample.gt_sem_seg = PixelData(data=torch.tensor([[values]]))
    return dict(inputs=[], data_samples=[sample])


def test_maps_before_training(tmp_path):
    LabelRangeHook().before_train(runner(tmp_path, [0, 2, 255]))
    LabelRangeHook().before_train(runner(tmp_path, [0, 2, 11], ignore_index=11))
    with pytest.raises(DataError, match=r"train_dataloader: label map '.*a\.png' has the value 11"):
        LabelRangeHook().before_train(runner(tmp_path, [0, 2, 11]))


def test_maps_of_a_batch(tmp_path):
    hook = LabelRangeHook()
    hook.before_train(runner(tmp_path, [0, 1]))
    hook.before_train_iter(None, 0, batch(0, 2, 255))
    with pytest.raises(DataError, match=r"label map 'b\.png' has the value 3 after the pipeline"):
        hook.before_train_iter(None, 1, batch(0, 3))
    hook.before_train_iter(None, 2, dict(inputs=[]))


def test_models_without_decode_heads_are_not_checked():
    assert label_range(nn.Linear(1, 1)) is None
    hook = LabelRangeHook()
    hook.before_train(SimpleNamespace(model=nn.Linear(1, 1)))
    hook.before_train_iter(None, 0, batch(99))
