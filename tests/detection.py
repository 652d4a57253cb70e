"""Small detectors and batches for the tests."""

import copy

import torch
from mmengine.registry import init_default_scope

from mmkd_sod.registry import MODELS
from mmkd_sod.testing.small_detectors import random_batch as batch

STRIDES = [8, 16, 32, 64, 128]
ANCHORS = dict(
    type='AnchorGenerator', ratios=[1.0], octave_base_scale=8, scales_per_octave=1, strides=STRIDES
)
FOCAL = dict(type='FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=1.0)
GIOU = dict(type='GIoULoss', loss_weight=2.0)
CENTER = dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0)
DELTAS = dict(type='DeltaXYWHBBoxCoder', target_means=[0.0] * 4, target_stds=[0.1, 0.1, 0.2, 0.2])
ATSS = dict(type='ATSSAssigner', topk=9)
GN = dict(type='GN', num_groups=8, requires_grad=True)

# detector type, head, train_cfg of each head that has a reader.
HEADS = dict(
    gfl=(
        'GFL',
        dict(
            type='GFLHead',
            anchor_generator=ANCHORS,
            reg_max=8,
            norm_cfg=GN,
            loss_bbox=GIOU,
            loss_cls=dict(type='QualityFocalLoss', use_sigmoid=True, beta=2.0, loss_weight=1.0),
            loss_dfl=dict(type='DistributionFocalLoss', loss_weight=0.25),
        ),
        ATSS,
    ),
    retinanet=(
        'RetinaNet',
        dict(
            type='RetinaHead',
            bbox_coder=DELTAS,
            loss_cls=FOCAL,
            loss_bbox=dict(type='L1Loss', loss_weight=1.0),
            anchor_generator=dict(
                type='AnchorGenerator',
                octave_base_scale=4,
                scales_per_octave=3,
                ratios=[0.5, 1.0, 2.0],
                strides=STRIDES,
            ),
        ),
        dict(
            type='MaxIoUAssigner',
            pos_iou_thr=0.5,
            neg_iou_thr=0.4,
            min_pos_iou=0,
            ignore_iof_thr=-1,
        ),
    ),
    atss=(
        'ATSS',
        dict(
            type='ATSSHead',
            anchor_generator=ANCHORS,
            bbox_coder=DELTAS,
            norm_cfg=GN,
            loss_cls=FOCAL,
            loss_bbox=GIOU,
            loss_centerness=CENTER,
        ),
        ATSS,
    ),
    fcos=(
        'FCOS',
        dict(
            type='FCOSHead',
            strides=STRIDES,
            norm_cfg=GN,
            loss_cls=FOCAL,
            loss_bbox=dict(type='IoULoss', loss_weight=1.0),
            loss_centerness=CENTER,
        ),
        None,
    ),
)

GIOU_KD = dict(type='mmdet.GIoULoss', loss_weight=1.0)
# CrossKD's terms for each head.
REG_KD = dict(
    gfl=dict(type='mmkd_sod.KDKLDivLoss', loss_weight=4.0),
    retinanet=GIOU_KD,
    atss=GIOU_KD,
    fcos=dict(type='mmdet.IoULoss', loss_weight=0.75),
)


def detector(head='gfl', width=4, channels=32, convs=4, classes=3, **bbox_head) -> dict:
    """Return a small detector's config; ``width`` is the backbone's base width."""
    kind, head_cfg, assigner = HEADS[head]
    cfg = dict(
        type=kind,
        _scope_='mmdet',
        data_preprocessor=dict(
            type='DetDataPreprocessor',
            mean=[123.675, 116.28, 103.53],
            std=[58.395, 57.12, 57.375],
            bgr_to_rgb=True,
            pad_size_divisor=32,
        ),
        backbone=dict(
            type='ResNet',
            depth=18,
            base_channels=width,
            norm_eval=False,
            frozen_stages=-1,
            norm_cfg=dict(type='BN', requires_grad=True),
        ),
        neck=dict(
            type='FPN',
            in_channels=[width, width * 2, width * 4, width * 8],
            out_channels=channels,
            start_level=1,
            add_extra_convs='on_output',
            num_outs=5,
        ),
        bbox_head=dict(
            head_cfg,
            num_classes=classes,
            in_channels=channels,
            feat_channels=channels,
            stacked_convs=convs,
            **bbox_head,
        ),
        test_cfg=dict(
            nms_pre=100,
            min_bbox_size=0,
            score_thr=0.0,
            nms=dict(type='nms', iou_threshold=0.6),
            max_per_img=10,
        ),
    )
    if assigner is not None:
        cfg['train_cfg'] = dict(assigner=assigner, allowed_border=-1, pos_weight=-1)
    return copy.deepcopy(cfg)


def crosskd_cfg(head='gfl', idx=2, weight=1.0, **options) -> dict:
    """Return the CrossKDDistiller config of a head; ``weight`` scales every term."""
    reg = dict(REG_KD[head])
    reg['loss_weight'] *= weight
    return dict(
        type='mmkd_sod.CrossKDDistiller',
        reused_teacher_head_idx=idx,
        loss_cls_kd=dict(type='mmkd_sod.KDQualityFocalLoss', loss_weight=weight),
        loss_reg_kd=reg,
        **options,
    )


def build_distill(head='gfl', distiller=None, student=None, teacher=None, **options):
    """Build a DenseDistill of small detectors with a random teacher, in training mode."""
    init_default_scope('mmdet')
    options.setdefault('teacher_allow_missing', ['*'])
    return MODELS.build(
        dict(
            type='mmkd_sod.DenseDistill',
            architecture=student or detector(head),
            teacher=teacher or detector(head, width=8),
            distiller=distiller or crosskd_cfg(head),
            **options,
        )
    ).train()


def losses_of(model, data=None) -> dict:
    """Return the losses of one batch."""
    data = model.data_preprocessor(data or batch(), training=True)
    return model(**data, mode='loss')


def sum_loss(value) -> torch.Tensor:
    """Return the sum of a loss, which may be a list over levels."""
    return sum(v.sum() for v in value) if isinstance(value, (list, tuple)) else value.sum()
