"""Small versions of mmseg's segmentors, for tests on a CPU."""

import torch
from mmengine.config import ConfigDict
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.builder import resolve_model_cfg

_CITY = '_cityscapes-512x1024.py'
# Architecture to its mmseg config.
SMALL_SEGMENTORS = {
    'ANN': f'ann/ann_r50-d8_4xb2-40k{_CITY}',
    'APCNet': f'apcnet/apcnet_r50-d8_4xb2-40k{_CITY}',
    'BiSeNetV1': 'bisenetv1/bisenetv1_r18-d32-in1k-pre_4xb4-160k_cityscapes-1024x1024.py',
    'BiSeNetV2': 'bisenetv2/bisenetv2_fcn_4xb4-160k_cityscapes-1024x1024.py',
    'CCNet': f'ccnet/ccnet_r50-d8_4xb2-40k{_CITY}',
    'CGNet': f'cgnet/cgnet_fcn_4xb8-60k{_CITY}',
    'DANet': f'danet/danet_r50-d8_4xb2-40k{_CITY}',
    'DDRNet': 'ddrnet/ddrnet_23-slim_in1k-pre_2xb6-120k_cityscapes-1024x1024.py',
    'DeepLabV3': f'deeplabv3/deeplabv3_r50-d8_4xb2-40k{_CITY}',
    'DeepLabV3+': f'deeplabv3plus/deeplabv3plus_r50-d8_4xb2-40k{_CITY}',
    'DNLNet': f'dnlnet/dnl_r50-d8_4xb2-40k{_CITY}',
    'EMANet': f'emanet/emanet_r50-d8_4xb2-80k{_CITY}',
    'EncNet': f'encnet/encnet_r50-d8_4xb2-40k{_CITY}',
    'ERFNet': f'erfnet/erfnet_fcn_4xb4-160k{_CITY}',
    'Fast-SCNN': f'fastscnn/fast_scnn_8xb4-160k{_CITY}',
    'FCN': f'fcn/fcn_r50-d8_4xb2-40k{_CITY}',
    'GCNet': f'gcnet/gcnet_r50-d8_4xb2-40k{_CITY}',
    'HRNet': f'hrnet/fcn_hr18s_4xb2-40k{_CITY}',
    'ICNet': 'icnet/icnet_r18-d8_4xb2-80k_cityscapes-832x832.py',
    'ISANet': f'isanet/isanet_r50-d8_4xb2-40k{_CITY}',
    'K-Net': 'knet/knet-s3_r50-d8_fcn_8xb2-adamw-80k_ade20k-512x512.py',
    'MobileNetV2': f'mobilenet_v2/mobilenet-v2-d8_deeplabv3_4xb2-80k{_CITY}',
    'OCRNet': f'ocrnet/ocrnet_hr18s_4xb2-40k{_CITY}',
    'PIDNet': 'pidnet/pidnet-s_2xb6-120k_1024x1024-cityscapes.py',
    'PSPNet': f'pspnet/pspnet_r50-d8_4xb2-40k{_CITY}',
    'SegFormer': 'segformer/segformer_mit-b0_8xb1-160k_cityscapes-1024x1024.py',
    'SegNeXt': 'segnext/segnext_mscan-t_1xb16-adamw-160k_ade20k-512x512.py',
    'Segmenter': 'segmenter/segmenter_vit-t_mask_8xb1-160k_ade20k-512x512.py',
    'Semantic FPN': f'sem_fpn/fpn_r50_4xb2-80k{_CITY}',
    'STDC': f'stdc/stdc1_4xb12-80k{_CITY}',
    'UPerNet-Swin': 'swin/swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-512x512.py',
}

# Classifiers of heads without a `conv_seg` of their own.
CLASSIFIERS = {'K-Net': 'decode_head.kernel_generate_head.conv_seg'}

_WIDTH = 16  # base width of ResNets
_CHANNELS = 32  # of decode heads


def _walk(cfg):
    """Yield all dicts of a nested config."""
    if isinstance(cfg, dict):
        yield cfg
        for value in cfg.values():
            yield from _walk(value)
    elif isinstance(cfg, (list, tuple)):
        for value in cfg:
            yield from _walk(value)


def _narrow_resnet(model: ConfigDict) -> None:
    """Replace ResNet-50 by ResNet-18 of base width 16, and adapt all input channels."""
    model.backbone.update(depth=18, stem_channels=_WIDTH, base_channels=_WIDTH)
    # Channels of the four stages, old to new.
    narrow = {256 * 2**stage: _WIDTH * 2**stage for stage in range(4)}
    for key in ('neck', 'decode_head', 'auxiliary_head'):
        for cfg in _walk(model.get(key)):
            channels = cfg.get('in_channels')
            if isinstance(channels, (list, tuple)):
                cfg['in_channels'] = [narrow.get(number, number) for number in channels]
            elif channels in narrow and key != 'neck':
                cfg['in_channels'] = narrow[channels]
            if 'c1_in_channels' in cfg:
                cfg['c1_in_channels'] = _WIDTH
    if model.decode_head.get('channels') == 512:
        model.decode_head.channels = 2 * _CHANNELS


def _narrow_swin(model: ConfigDict) -> None:
    model.backbone.update(embed_dims=24, depths=(1, 1, 2, 1), num_heads=(1, 2, 4, 8))
    model.decode_head.update(in_channels=[24, 48, 96, 192], channels=_CHANNELS)
    model.auxiliary_head.update(in_channels=96, channels=_CHANNELS)


def small_segmentor(name: str, classes: int = 5, size: tuple[int, int] = (64, 64)) -> ConfigDict:
    """Return the config of an mmseg segmentor with fewer channels and random weights.

    Args:
        name (str): Architecture, a key of ``SMALL_SEGMENTORS``.
        classes (int): Number of classes.
        size (tuple[int, int]): Height and width of training images.

    Returns:
        ConfigDict: Model config.

    Raises:
        ConfigError: The architecture is unknown.
    """
    if name not in SMALL_SEGMENTORS:
        raise ConfigError(
            f'small_segmentor: name={name!r} is unknown; use one of {", ".join(SMALL_SEGMENTORS)}'
        )
    model = resolve_model_cfg(dict(cfg_path='mmseg::' + SMALL_SEGMENTORS[name]))
    model.data_preprocessor = dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size=size,
    )
    # Not for K-Net, whose head modules are as wide as the third stage of its backbone.
    if model.backbone.type == 'ResNetV1c' and model.backbone.depth == 50 and name != 'K-Net':
        _narrow_resnet(model)
    if name == 'Semantic FPN':
        model.decode_head.in_channels = [model.neck.out_channels] * 4
    if model.backbone.type == 'SwinTransformer':
        _narrow_swin(model)
    for cfg in _walk(model):
        for key in ('init_cfg', 'pretrained', 'class_weight', 'sampler'):
            if key in cfg:
                cfg[key] = None
        if 'num_classes' in cfg:
            cfg.num_classes = classes
        if str(cfg.get('type', '')).endswith('SyncBN'):
            cfg.type = 'BN'
    return model


def random_batch(
    images: int = 4, height: int = 64, width: int = 64, classes: int = 5, seed: int = 0
) -> dict:
    """Return a batch of random images with random labels, as a data loader returns it.

    Args:
        images (int): Number of images.
        height (int): Height of the images.
        width (int): Width of the images.
        classes (int): Number of classes.
        seed (int): Seed of images and labels; torch's global generator is not used.

    Returns:
        dict: ``inputs``, a list of (3, height, width) uint8, and ``data_samples``.
    """
    generator = torch.Generator().manual_seed(seed)
    inputs, samples = [], []
    for _ in range(images):
        inputs.append(torch.randint(0, 256, (3, height, width), generator=generator).byte())
        labels = torch.randint(0, classes, (1, height // 8, width // 8), generator=generator)
        labels = labels.repeat_interleave(8, 1).repeat_interleave(8, 2)
        sample = SegDataSample(
            metainfo=dict(
                img_shape=(height, width), pad_shape=(height, width), ori_shape=(height, width)
            )
        )
        sample.gt_sem_seg = PixelData(data=labels)
        # PIDNet's loss reads the edges of the labels.
        sample.gt_edge_map = PixelData(data=(labels != labels.roll(1, 2)).long())
        samples.append(sample)
    return dict(inputs=inputs, data_samples=samples)
