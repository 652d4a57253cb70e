"""Small versions of mmdet's one-stage detectors, for tests on a CPU."""

import copy

import torch
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.builder import resolve_model_cfg

# Head to the mmdet config that defines its assigner, losses and anchors.
SMALL_DETECTORS = dict(
    ATSSHead='atss/atss_r50_fpn_1x_coco.py',
    AutoAssignHead='autoassign/autoassign_r50-caffe_fpn_1x_coco.py',
    CenterNetUpdateHead='centernet/centernet-update_r50-caffe_fpn_ms-1x_coco.py',
    DDODHead='ddod/ddod_r50_fpn_1x_coco.py',
    FCOSHead='fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py',
    FSAFHead='fsaf/fsaf_r50_fpn_1x_coco.py',
    FoveaHead='foveabox/fovea_r50_fpn_4xb4-1x_coco.py',
    FreeAnchorRetinaHead='free_anchor/freeanchor_r50_fpn_1x_coco.py',
    GFLHead='gfl/gfl_r50_fpn_1x_coco.py',
    LADHead='lad/lad_r50-paa-r101_fpn_2xb8_coco_1x.py',
    LDHead='ld/ld_r18-gflv1-r101_fpn_1x_coco.py',
    NASFCOSHead='nas_fcos/nas-fcos_r50-caffe_fpn_nashead-gn-head_4xb4-1x_coco.py',
    PAAHead='paa/paa_r50_fpn_1x_coco.py',
    PISARetinaHead='pisa/retinanet-r50_fpn_pisa_1x_coco.py',
    RTMDetHead='rtmdet/rtmdet_l_8xb32-300e_coco.py',
    RTMDetSepBNHead='rtmdet/rtmdet_l_8xb32-300e_coco.py',
    RepPointsHead='reppoints/reppoints-moment_r50_fpn-gn_head-gn_1x_coco.py',
    RetinaHead='retinanet/retinanet_r50_fpn_1x_coco.py',
    RetinaSepBNHead='nas_fpn/retinanet_r50_fpn_crop640-50e_coco.py',
    SABLRetinaHead='sabl/sabl-retinanet_r50-gn_fpn_1x_coco.py',
    TOODHead='tood/tood_r50_fpn_1x_coco.py',
    VFNetHead='vfnet/vfnet_r50_fpn_1x_coco.py',
    YOLOFHead='yolof/yolof_r50-c5_8xb8-1x_coco.py',
    YOLOXHead='yolox/yolox_s_8xb8-300e_coco.py',
)

# Heads with three levels of strides 8, 16 and 32; YOLOF has one level, the others five. DDOD's own
# config has five, but its deformable convolution refuses maps smaller than 3 x 3.
_THREE_LEVELS = ('DDODHead', 'RTMDetHead', 'RTMDetSepBNHead', 'YOLOXHead')


def _backbone(width: int) -> dict:
    return dict(
        type='ResNet',
        depth=18,
        base_channels=width,
        frozen_stages=-1,
        norm_eval=False,
        norm_cfg=dict(type='BN', requires_grad=True),
    )


def _neck(name: str, width: int, channels: int) -> dict:
    if name == 'YOLOFHead':
        return dict(
            type='DilatedEncoder',
            in_channels=width * 8,
            out_channels=channels,
            block_mid_channels=channels // 2,
            num_residual_blocks=4,
            block_dilations=[2, 4, 6, 8],
        )
    return dict(
        type='FPN',
        in_channels=[width * factor for factor in (1, 2, 4, 8)],
        out_channels=channels,
        start_level=1,
        add_extra_convs='on_output',
        num_outs=3 if name in _THREE_LEVELS else 5,
    )


def _head(head: ConfigDict, name: str, channels: int, classes: int) -> ConfigDict:
    head.update(type=name, num_classes=classes, in_channels=channels)
    if name != 'YOLOFHead':
        head.feat_channels = channels
    for key, value in dict(point_feat_channels=channels, stacked_convs=2).items():
        if key in head:
            head[key] = value
    norm = head.get('norm_cfg')
    if norm is not None:
        head.norm_cfg = dict(type='GN', num_groups=8) if norm.type == 'GN' else dict(type='BN')
    if name == 'DDODHead':
        head.anchor_generator.strides = [8, 16, 32]
    if name == 'RTMDetHead':
        for key in ('share_conv', 'exp_on_reg'):
            head.pop(key)
    return head


def small_detector(
    name: str, width: int = 4, channels: int = 32, classes: int = 3, **bbox_head
) -> dict:
    """Return the config of a small detector: an mmdet head on a narrow ResNet-18, random weights.

    Args:
        name (str): Class name of the head.
        width (int): Base width of the backbone.
        channels (int): Channels of neck and head, a multiple of 32 (for the GroupNorm of heads).
        classes (int): Number of classes.
        bbox_head: Further settings of the head.

    Returns:
        dict: Model config.

    Raises:
        ConfigError: There is no small detector for the head.
    """
    if name not in SMALL_DETECTORS:
        raise ConfigError(
            f'small_detector: name={name!r} is unknown; use one of {", ".join(SMALL_DETECTORS)}'
        )
    model = resolve_model_cfg(dict(cfg_path='mmdet::' + SMALL_DETECTORS[name]))
    model.data_preprocessor = dict(
        type='DetDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_size_divisor=32,
    )
    model.backbone, model.neck = _backbone(width), _neck(name, width, channels)
    if name == 'YOLOFHead':
        model.backbone.update(out_indices=(3,))
    model.bbox_head = _head(model.bbox_head, name, channels, classes)
    model.bbox_head.update(bbox_head)
    model.pop('init_cfg', None)
    if name == 'LDHead':  # LD and LAD have their own teachers
        model.update(
            teacher_config=dict(model=small_detector('GFLHead', width, channels, classes)),
            teacher_ckpt=None,
        )
    if name == 'LADHead':
        model.update(
            teacher_backbone=_backbone(width),
            teacher_ckpt=None,
            teacher_neck=_neck(name, width, channels),
            teacher_bbox_head=copy.deepcopy(model.bbox_head),
        )
    return model.to_dict()


def random_batch(
    images: int = 2,
    height: int = 128,
    width: int = 160,
    empty: tuple = (),
    seed: int = 0,
    classes: int = 3,
) -> dict:
    """Return a batch of random images with three boxes each, as a data loader returns it.

    Args:
        images (int): Number of images.
        height (int): Height of the images.
        width (int): Width of the images.
        empty (tuple): Indices of images without boxes.
        seed (int): Seed of images and boxes; torch's global generator is not used.
        classes (int): Number of classes.

    Returns:
        dict: ``inputs``, a list of (3, height, width) uint8, and ``data_samples``.
    """
    generator = torch.Generator().manual_seed(seed)
    inputs, samples = [], []
    for i in range(images):
        inputs.append(torch.randint(0, 256, (3, height, width), generator=generator).byte())
        count = 0 if i in empty else 3
        corner = torch.rand(count, 2, generator=generator) * torch.tensor([width, height]) * 0.5
        size = 16 + torch.rand(count, 2, generator=generator) * 48
        sample = DetDataSample(
            metainfo=dict(
                img_shape=(height, width),
                ori_shape=(height, width),
                pad_shape=(height, width),
                batch_input_shape=(height, width),
                scale_factor=(1.0, 1.0),
                img_id=i,
            )
        )
        sample.gt_instances = InstanceData(
            bboxes=torch.cat([corner, corner + size], 1),
            labels=torch.randint(0, classes, (count,), generator=generator),
        )
        samples.append(sample)
    return dict(inputs=inputs, data_samples=samples)
