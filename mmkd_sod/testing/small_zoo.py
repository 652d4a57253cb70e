"""Small versions of any detector of mmdet's model zoo, for tests on a CPU."""

from typing import Any

import numpy as np
import torch
from mmdet.structures.mask import BitmapMasks
from mmengine.config import ConfigDict
from mmengine.structures import PixelData

from mmkd_sod.models.builder import resolve_model_cfg

from .small_detectors import random_batch

# One config of mmdet per detector that is not dense.
SMALL_KINDS = dict(
    faster_rcnn='faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
    mask_rcnn='mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py',
    cascade_rcnn='cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco.py',
    cascade_mask_rcnn='cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco.py',
    double_head='double_heads/dh-faster-rcnn_r50_fpn_1x_coco.py',
    dynamic_rcnn='dynamic_rcnn/dynamic-rcnn_r50_fpn_1x_coco.py',
    libra_rcnn='libra_rcnn/libra-faster-rcnn_r50_fpn_1x_coco.py',
    pisa='pisa/mask-rcnn_r50_fpn_pisa_1x_coco.py',
    groie='groie/mask-rcnn_r50_fpn_groie_1x_coco.py',
    ga_rcnn='guided_anchoring/ga-faster-rcnn_r50_fpn_1x_coco.py',
    cascade_rpn='cascade_rpn/cascade-rpn_faster-rcnn_r50-caffe_fpn_1x_coco.py',
    htc='htc/htc_r50_fpn_1x_coco.py',
    mask_scoring='ms_rcnn/ms-rcnn_r50_fpn_1x_coco.py',
    point_rend='point_rend/point-rend_r50-caffe_fpn_ms-1x_coco.py',
    panoptic_fpn='panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py',
    sparse_rcnn='sparse_rcnn/sparse-rcnn_r50_fpn_1x_coco.py',
    queryinst='queryinst/queryinst_r50_fpn_1x_coco.py',
    detr='detr/detr_r50_8xb2-150e_coco.py',
    conditional_detr='conditional_detr/conditional-detr_r50_8xb2-50e_coco.py',
    dab_detr='dab_detr/dab-detr_r50_8xb2-50e_coco.py',
    deformable_detr='deformable_detr/deformable-detr-refine-twostage_r50_16xb2-50e_coco.py',
    dino='dino/dino-4scale_r50_8xb2-12e_coco.py',
    ddq='ddq/ddq-detr-4scale_r50_8xb2-12e_coco.py',
    maskformer='maskformer/maskformer_r50_ms-16xb1-75e_coco.py',
    mask2former='mask2former/mask2former_r50_8xb2-lsj-50e_coco.py',
    yolov3='yolo/yolov3_d53_8xb8-320-273e_coco.py',
    condinst='condinst/condinst_r50_fpn_ms-poly-90k_coco_instance.py',
    boxinst='boxinst/boxinst_r50_fpn_ms-90k_coco.py',
    rtmdet_ins='rtmdet/rtmdet-ins_l_8xb32-300e_coco.py',
)
# Settings that make any detector smaller: values that are larger become these.
_LIMITS = dict(
    num_queries=20,
    num_proposals=20,
    dense_topk_ratio=1.5,
    nms_pre=200,
    max_per_img=50,
    feedforward_channels=64,
    fc_out_channels=64,
    stacked_convs=2,
)


def _limit(cfg: Any) -> None:
    """Lower the settings of ``_LIMITS`` in a config, and transformers to 2 layers."""
    for key, value in cfg.items() if isinstance(cfg, dict) else enumerate(cfg):
        if isinstance(value, (dict, list)):
            _limit(value)
        elif key in _LIMITS and isinstance(value, int) and value > _LIMITS[key]:
            cfg[key] = _LIMITS[key]
        elif key == 'num_layers' and isinstance(value, int) and value > 3:
            cfg[key] = 2


def small_zoo_detector(cfg_path: str, width: int = 4) -> dict:
    """Return the config of a small detector, built from one of mmdet's configs.

    The backbone becomes a ResNet-18 of few channels, layers and queries become few; heads, losses,
    assigners and classes stay mmdet's own.

    Args:
        cfg_path (str): Path of the config in mmdet, or a name of ``SMALL_KINDS``.
        width (int): Base channels of the backbone.
    """
    model = resolve_model_cfg(dict(cfg_path='mmdet::' + SMALL_KINDS.get(cfg_path, cfg_path)))
    outputs = tuple(model.backbone.get('out_indices', (0, 1, 2, 3)))
    if 'Darknet' in model.backbone.type or model.backbone.type == 'CSPNeXt':
        outputs = (1, 2, 3)
    model.backbone = ConfigDict(
        type='ResNet',
        depth=18,
        base_channels=width,
        out_indices=outputs,
        frozen_stages=-1,
        norm_eval=True,
        norm_cfg=dict(type='BN', requires_grad=True),
    )
    widths = [width * 2**index for index in outputs]
    _set_inputs(model, widths)
    model.pop('init_cfg', None)
    _limit(model)
    _limit_rest(model)
    model.data_preprocessor.pop('batch_augments', None)
    return model.to_dict()


def _set_inputs(model: ConfigDict, widths: list[int]) -> None:
    """Give the layer after the backbone its channels."""
    neck = model.get('neck')
    first = neck[0] if isinstance(neck, list) else neck
    if first is not None:
        if first.type == 'YOLOV3Neck':
            widths = widths[::-1]
        first.in_channels = widths
        return
    head = model.panoptic_head
    head.in_channels = widths


def _limit_rest(model: ConfigDict) -> None:
    """Make smaller what is not a single number."""
    roi = model.get('roi_head')
    if roi is not None and roi.get('num_stages', 1) > 2:
        roi.num_stages = 2
        for name in ('bbox_head', 'mask_head', 'stage_loss_weights'):
            if isinstance(roi.get(name), list):
                roi[name] = roi[name][:2]
        if isinstance(model.train_cfg.rcnn, list):
            model.train_cfg.rcnn = model.train_cfg.rcnn[:2]
    head = model.get('panoptic_head')
    if head is not None and head.type == 'MaskFormerHead':
        head.pixel_decoder.encoder.num_layers = 1


def rich_batch(
    images: int = 2, height: int = 96, width: int = 128, empty: tuple = (), **options: Any
) -> dict:
    """Return ``random_batch`` with instance masks and semantic maps besides.

    Args:
        images (int): Number of images.
        height (int): Height of the images.
        width (int): Width of the images.
        empty (tuple): Indices of images without objects.
        options: Of ``random_batch``.
    """
    batch = random_batch(images, height, width, empty, **options)
    for sample in batch['data_samples']:
        boxes = sample.gt_instances.bboxes
        boxes[:, 0::2].clamp_(max=width)
        boxes[:, 1::2].clamp_(max=height)
        masks = np.zeros((len(boxes), height, width), dtype=np.uint8)
        semantic = torch.full((1, height, width), 255, dtype=torch.long)
        for mask, box, label in zip(
            masks, boxes.round().int().tolist(), sample.gt_instances.labels.tolist(), strict=True
        ):
            mask[box[1] : box[3], box[0] : box[2]] = 1
            semantic[0, box[1] : box[3], box[0] : box[2]] = label
        sample.gt_instances.masks = BitmapMasks(masks, height, width)
        sample.gt_sem_seg = PixelData(sem_seg=semantic)
    return batch
