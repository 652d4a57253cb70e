"""Deformable DETR R18 50e <- R50 50e, teacher queries, boxes in pixels and beta=0 as released."""
_base_ = ['mmdet::deformable_detr/deformable-detr-refine-twostage_r50_16xb2-50e_coco.py']
custom_imports = dict(imports=['mmkd_sod'], allow_failed_imports=False)
model = dict(
    _delete_=True, type='mmkd_sod.DenseDistill',
    architecture=dict(
        cfg_path='mmdet::deformable_detr/deformable-detr-refine-twostage_r50_16xb2-50e_coco.py',
        backbone=dict(depth=18, init_cfg=dict(checkpoint='torchvision://resnet18')),
        neck=dict(in_channels=[128, 256, 512])),
    teacher=dict(
        cfg_path='mmdet::deformable_detr/deformable-detr-refine-twostage_r50_16xb2-50e_coco.py'),
    teacher_ckpt='https://download.openmmlab.com/mmdetection/v3.0/deformable_detr/'
    'deformable-detr-refine-twostage_r50_16xb2-50e_coco/'
    'deformable-detr-refine-twostage_r50_16xb2-50e_coco_20221021_184714-acc8a5ff.pth',
    distiller=dict(
        type='mmkd_sod.CrossKDDistiller', queries='teacher', boxes='pixels', loss_iou_kd=False,
        loss_cls_kd=dict(type='mmkd_sod.KDQualityFocalLoss', beta=0.0, loss_weight=1.0),
        loss_reg_kd=dict(type='mmdet.L1Loss', loss_weight=1.0)))
