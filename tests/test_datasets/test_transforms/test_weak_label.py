"""Weak labels in training: the image's flips and crops, and refusal of stale labels."""

import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmkd_sod.apis.weak_label_writer import WeakLabelWriter
from mmkd_sod.datasets import UnlabelledImageDataset
from mmkd_sod.errors import DataError
from mmkd_sod.models.saliency_inferencer import SaliencyInferencer
from mmkd_sod.registry import TRANSFORMS
from tests.conftest import ROOT
from tests.saliency import save_network
from tests.sod_data import write_set

SIDE = 64


@pytest.fixture
def labels(tmp_path):
    """Return a set, its teacher and the folder of labels."""
    root = write_set(tmp_path / 'set')
    teacher = save_network(tmp_path)
    images = dataset(root)
    WeakLabelWriter(
        SaliencyInferencer(*teacher, side=SIDE, batch_size=1),
        [images.get_data_info(i) for i in range(3)],
        tmp_path / 'out',
        root / 'image',
    ).run(show=False)
    return root, teacher, tmp_path / 'out'


def dataset(root, *transforms):
    pipeline = Config.fromfile(ROOT / 'configs/_base_/datasets/sod_sets.py').unlabelled_pipeline
    pipeline = [pipeline[0], *transforms, *pipeline[1:]] if transforms else []
    return UnlabelledImageDataset(
        data_root=str(root), data_prefix=dict(img_path='image'), pipeline=pipeline
    )


def test_augmented_labels_equal_augmenting_the_online_map(labels):
    root, teacher, out = labels
    offline = dataset(root, dict(type='mmkd_sod.LoadWeakLabel', label_root=str(out)))
    predict = dict(
        type='mmkd_sod.PredictWeakLabel', teacher=teacher[0], teacher_ckpt=teacher[1], side=SIDE
    )
    online, unrounded = dataset(root, predict), dataset(root, dict(predict, bits=None))
    flips = set()
    for seed in range(8):
        found, expected, exact = [], [], []
        for data, samples in ((offline, found), (online, expected), (unrounded, exact)):
            np.random.seed(seed)
            samples.extend(data[i] for i in range(3))
        for a, b, c in zip(found, expected, exact, strict=True):
            assert torch.equal(a['inputs'], b['inputs'])
            label = a['data_samples'].weak_label.data
            assert label.shape[1:] == a['inputs'].shape[1:]
            assert torch.equal(label, b['data_samples'].weak_label.data)
            torch.testing.assert_close(label, c['data_samples'].weak_label.data, rtol=0, atol=1e-5)
            flips.add(a['data_samples'].flip_direction)
    assert len(flips) > 2


def load(results):
    return dict(dict(img_name='0', dataset_name='set', ori_shape=(40, 60)), **results)


def test_stale_missing_and_damaged_labels_are_refused(labels, tmp_path):
    root, teacher, out = labels
    cfg = dict(
        type='mmkd_sod.LoadWeakLabel',
        label_root=str(out),
        teacher=teacher[0],
        teacher_ckpt=teacher[1],
        side=SIDE,
    )
    transform = TRANSFORMS.build(cfg)
    assert transform(load({}))['weak_label'].dtype == np.float32
    with pytest.raises(DataError, match='stale: teacher is'):
        TRANSFORMS.build(dict(cfg, side=SIDE * 2))
    other = save_network(tmp_path, 'other', seed=1)
    with pytest.raises(DataError, match='stale'):
        TRANSFORMS.build(dict(cfg, teacher_ckpt=other[1]))
    with pytest.raises(DataError, match=r'has no weak labels \(labels.json does not exist\)'):
        TRANSFORMS.build(dict(cfg, label_root=str(root)))
    with pytest.raises(DataError, match=r"9.png' does not exist"):
        transform(load(dict(img_name='9')))
    with pytest.raises(DataError, match='is 60 x 40, its image 61 x 40; the image has changed'):
        transform(load(dict(ori_shape=(40, 61))))
    path = out / 'set/0.png'
    path.write_bytes(path.read_bytes()[:80])
    with pytest.raises(DataError, match=r"weak label .*0.png' is damaged"):
        transform(load({}))
