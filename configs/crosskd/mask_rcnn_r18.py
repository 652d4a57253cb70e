"""Mask R-CNN R18 1x <- R50 1x; masks='all' as released outweighs the other terms."""
_base_ = ['mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py']
custom_imports = dict(imports=['mmkd_sod'], allow_failed_imports=False)
model = dict(
    _delete_=True, type='mmkd_sod.DenseDistill',
    architecture=dict(
        cfg_path='mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py',
        backbone=dict(depth=18, init_cfg=dict(checkpoint='torchvision://resnet18')),
        neck=dict(in_channels=[64, 128, 256, 512])),
    teacher=dict(cfg_path='mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py'),
    teacher_ckpt='https://download.openmmlab.com/mmdetection/v2.0/mask_rcnn/'
    'mask_rcnn_r50_fpn_1x_coco/mask_rcnn_r50_fpn_1x_coco_20200205-d4b0c5d6.pth',
    distiller=dict(
        type='mmkd_sod.CrossKDDistiller', masks='all',
        loss_cls_kd=dict(type='mmkd_sod.KDKLDivLoss', tau=3.0, loss_weight=0.5),
        loss_reg_kd=dict(type='mmdet.L1Loss', loss_weight=1.0),
        loss_mask_kd=dict(type='mmkd_sod.KDQualityFocalLoss', beta=1.0, loss_weight=1.0)))
