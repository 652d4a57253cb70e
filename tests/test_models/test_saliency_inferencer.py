"""SaliencyInferencer predicts the same maps as testing, for images of any sizes."""

import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmkd_sod.datasets import SODDataset
from mmkd_sod.errors import CheckpointError, ConfigError
from mmkd_sod.models.saliency_inferencer import SaliencyInferencer, key_of_files, saliency_config
from tests.conftest import ROOT
from tests.saliency import save_network
from tests.sod_data import disc, write_set


@pytest.fixture
def files(tmp_path):
    return save_network(tmp_path)


def test_maps_have_the_sizes_of_the_images_for_any_batch_size(files):
    images = [disc(40, 60)[0], disc(30, 30, 1)[0], disc(1, 1, 2)[0], disc(70, 20, 3)[0]]
    maps = SaliencyInferencer(*files, side=64, batch_size=3)(images)
    assert [m.shape for m in maps] == [i.shape[:2] for i in images]
    assert all(m.dtype == np.float32 and m.min() >= 0 and m.max() <= 1 for m in maps)
    one = SaliencyInferencer(*files, side=64, batch_size=1)
    for image, saliency in zip(images, maps, strict=True):
        np.testing.assert_allclose(one([image])[0], saliency, atol=1e-5)
    assert one([]) == []


def test_equals_the_test_loop(files, tmp_path):
    pipeline = Config.fromfile(ROOT / 'configs/_base_/datasets/sod_sets.py').test_pipeline
    dataset = SODDataset(data_root=str(write_set(tmp_path / 's')), pipeline=pipeline)
    inferencer = SaliencyInferencer(*files, fast=False)
    sample = dataset[0]
    with torch.no_grad():
        (result,) = inferencer.model.test_step(
            dict(inputs=[sample['inputs']], data_samples=[sample['data_samples']])
        )
    np.testing.assert_allclose(
        inferencer([disc(40, 60, 0)[0]])[0], result.seg_logits.data[0].numpy(), atol=1e-6
    )


def test_the_fast_network_predicts_the_same(files):
    image = disc(60, 90)[0]
    fast, plain = (SaliencyInferencer(*files, side=96, fast=fast) for fast in (True, False))
    assert len(fast.model.state_dict()) < len(plain.model.state_dict())
    np.testing.assert_allclose(fast([image])[0], plain([image])[0], atol=1e-4)
    assert fast.key == plain.key


def test_stream_keeps_keys_in_order(files):
    stream = ((i, disc(20, 20 + i)[0]) for i in range(5))
    out = list(SaliencyInferencer(*files, side=32, batch_size=2).stream(stream))
    assert [key for key, _, _ in out] == list(range(5))
    assert all(saliency.shape == image.shape[:2] for _, image, saliency in out)


def test_the_student_of_a_distillation(files, tmp_path):
    config, checkpoint = files
    student = Config.fromfile(config).model
    path = tmp_path / 'kd.py'
    Config(
        dict(
            default_scope='mmseg',
            model=dict(
                type='mmkd_sod.DenseDistill',
                architecture=student,
                teacher=student,
                distiller=dict(type='mmkd_sod.WeakLabelDistiller'),
            ),
        )
    ).dump(path)
    assert SaliencyInferencer(path, checkpoint, side=32)([disc(8, 8)[0]])[0].shape == (8, 8)
    assert key_of_files(path, checkpoint) == key_of_files(config, checkpoint)


def test_key_depends_on_weights_and_side_but_not_on_files(files, tmp_path):
    config, checkpoint = files
    inferencer = SaliencyInferencer(config, checkpoint, side=64)
    assert inferencer.key == key_of_files(config, checkpoint, 64)
    assert inferencer.key != key_of_files(config, checkpoint)
    copy = tmp_path / 'copy.pth'
    torch.save(torch.load(checkpoint)['state_dict'], copy)
    assert key_of_files(config, copy, 64) == inferencer.key
    other = save_network(tmp_path, 'other', seed=1)
    assert key_of_files(*other, 64) != inferencer.key


def test_an_mmseg_config_with_two_channels_and_sync_bn(tmp_path):
    config = saliency_config('mmseg::fastscnn/fast_scnn_8xb4-160k_cityscapes-512x1024.py')
    config.model.decode_head.num_classes = 2
    config.model.auxiliary_head = None
    path = tmp_path / 'f.py'
    config.dump(path)
    from mmkd_sod.models.builder import build_model

    torch.save(build_model(config.model).state_dict(), tmp_path / 'f.pth')
    (saliency,) = SaliencyInferencer(path, tmp_path / 'f.pth', side=64)([disc(30, 40)[0]])
    assert saliency.shape == (30, 40) and 0 < saliency.mean() < 1


def test_refuses(files, tmp_path):
    config, checkpoint = files
    with pytest.raises(ConfigError, match="config 'none.py' does not exist"):
        SaliencyInferencer('none.py', checkpoint)
    with pytest.raises(CheckpointError, match="none.pth' does not exist"):
        SaliencyInferencer(config, 'none.pth')
    with pytest.raises(ConfigError, match='side=0 and batch_size=8'):
        SaliencyInferencer(config, checkpoint, side=0)
    state = torch.load(checkpoint)['state_dict']
    state.pop('decode_head.conv_seg.weight')
    torch.save(state, tmp_path / 'broken.pth')
    with pytest.raises(CheckpointError, match=r'conv_seg.weight is missing in the file'):
        SaliencyInferencer(config, tmp_path / 'broken.pth')
    (tmp_path / 'empty.py').write_text('a = 1')
    with pytest.raises(ConfigError, match='has no `model`'):
        SaliencyInferencer(tmp_path / 'empty.py', checkpoint)
    cfg = Config.fromfile(config)
    cfg.model.decode_head = dict(type='FCNHead', in_channels=80, channels=8, num_classes=7)
    cfg.dump(tmp_path / 'seven.py')
    with pytest.raises(ConfigError, match='has 7 output channels'):
        SaliencyInferencer(tmp_path / 'seven.py', checkpoint)


def test_a_preprocessor_that_pads_in_testing(files, tmp_path):
    config, checkpoint = files
    cfg = Config.fromfile(config)
    images = [disc(40, 60)[0]]
    wanted = SaliencyInferencer(cfg, checkpoint, side=64, device='cpu')(images)[0]
    cfg.model.data_preprocessor.test_cfg = dict(size_divisor=64)
    found = SaliencyInferencer(cfg, checkpoint, side=64, device='cpu')(images)[0]
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    cfg.model.data_preprocessor.test_cfg = dict(size_divisor=48)
    assert SaliencyInferencer(cfg, checkpoint, side=64, device='cpu')(images)[0].shape == (40, 60)
