"""SegNeXt, Mask2Former and SAN of mmseg: inference works, or is refused by name before any work."""

import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmkd_sod.deployment.networks import SegmentationNetwork
from mmkd_sod.errors import CheckpointError, ConfigError
from mmkd_sod.models.builder import build_model, resolve_model_cfg
from mmkd_sod.models.saliency_inferencer import SaliencyInferencer
from mmkd_sod.models.student import load_student
from mmkd_sod.models.teachers.checkpoint import load_teacher_weights
from mmkd_sod.testing.small_segmentors import random_batch, small_segmentor
from tests.sod_data import disc

MASK2FORMER = 'mmseg::mask2former/mask2former_r50_8xb2-90k_cityscapes-512x1024.py'
SAN = 'mmseg::san/san-vit-b16_coco-stuff164k-640x640.py'


def segnext(**ham) -> dict:
    """Return a small SegNeXt for saliency, with the preprocessor of its config."""
    model = small_segmentor('SegNeXt', classes=2)
    model.data_preprocessor.test_cfg = dict(size_divisor=32)
    model.backbone.update(
        embed_dims=[16, 16, 32, 32], depths=[1, 1, 1, 1], norm_cfg=dict(type='BN')
    )
    # Its group norm has 32 groups.
    model.decode_head.update(in_channels=[16, 32, 32], channels=32, ham_channels=32)
    model.decode_head.ham_kwargs.update(MD_R=4, **ham)
    return model


def mask2former() -> dict:
    model = resolve_model_cfg(dict(cfg_path=MASK2FORMER))
    model.backbone.update(depth=18, base_channels=8, init_cfg=None, norm_cfg=dict(type='BN'))
    model.decode_head.update(in_channels=[8, 16, 32, 64], num_classes=2, num_queries=4)
    model.decode_head.loss_cls.class_weight = [1.0, 1.0, 0.1]
    return model


def san() -> dict:
    model = resolve_model_cfg(dict(cfg_path=SAN))
    model.update(pretrained=None)
    model.image_encoder.update(num_layers=9, embed_dims=24, num_heads=2)
    model.text_encoder.update(dataset_name=None, vocabulary=['thing', 'other'], num_layers=1)
    head = model.decode_head
    head.num_classes = 2
    head.san_cfg.update(embed_dims=24, clip_channels=24, num_queries=4)
    head.san_cfg.cfg_encoder.num_heads = head.san_cfg.cfg_decoder.num_heads = 2
    head.maskgen_cfg.update(sos_token_num=4, embed_dims=24, num_heads=2)
    head.loss_decode[0].class_weight = [1.0, 1.0, 0.1]
    return model


def config(model) -> Config:
    return Config(dict(model=model, default_scope='mmseg'))


@pytest.mark.parametrize(
    'model, name',
    [(mask2former, 'Mask2FormerHead'), (san, 'SideAdapterCLIPHead'), (segnext, 'LightHamHead')],
)
def test_heads_that_predict_in_their_own_way_are_refused_by_name(model, name, tmp_path):
    # The checkpoint does not exist: it is not even looked for.
    with pytest.raises(ConfigError, match=name):
        SaliencyInferencer(config(model()), tmp_path / 'none.pth')
    with pytest.raises(ConfigError, match=name):
        SegmentationNetwork(build_model(dict(model(), _scope_='mmseg')))


@pytest.fixture
def trained(tmp_path):
    """A SegNeXt whose decomposition does not start at random, after a training forward."""
    cfg = config(segnext(rand_init=False))
    model = build_model(dict(cfg.model, _scope_='mmseg'))
    data = model.data_preprocessor(random_batch(2, 64, 64, 2), True)
    model(**data, mode='loss')
    path = tmp_path / 'net.pth'
    torch.save(dict(state_dict=model.state_dict()), path)
    return cfg, str(path), model.eval()


def test_a_repeatable_decomposition_keeps_its_bases(trained):
    cfg, path, model = trained
    assert any(key.endswith('.bases') for key in model.state_dict())
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        wanted = model(image, mode='tensor')
        found = load_student(cfg, path)[2](image, mode='tensor')
        teacher = build_model(dict(cfg.model, _scope_='mmseg'))
        load_teacher_weights(teacher, path)
        torch.testing.assert_close(teacher.eval()(image, mode='tensor'), wanted)
    torch.testing.assert_close(found, wanted)


def test_inputs_are_padded_to_the_divisor_and_cut_again(trained):
    cfg, path, _ = trained
    image = disc(40, 60)[0]
    first, second = (SaliencyInferencer(cfg, path, side=50)([image])[0] for _ in range(2))
    assert first.shape == (40, 60)
    np.testing.assert_array_equal(first, second)


def test_a_checkpoint_without_bases_is_refused(trained, tmp_path):
    cfg, path, model = trained
    state = {key: value for key, value in model.state_dict().items() if 'bases' not in key}
    torch.save(dict(state_dict=state), path)
    with pytest.raises(CheckpointError, match=r'has no decode_head.*bases'):
        SaliencyInferencer(cfg, path)
