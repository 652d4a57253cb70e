"""GFL R18 1x <- GFL R50 1x."""
_base_ = ['../_base_/coco_1x.py', '../_base_/distillers/crosskd_gfl.py']
model = dict(
    architecture=dict(
        cfg_path='mmdet::gfl/gfl_r50_fpn_1x_coco.py',
        backbone=dict(depth=18, init_cfg=dict(checkpoint='torchvision://resnet18')),
        neck=dict(in_channels=[64, 128, 256, 512])),
    teacher=dict(cfg_path='mmdet::gfl/gfl_r50_fpn_1x_coco.py'),
    teacher_ckpt='https://download.openmmlab.com/mmdetection/v2.0/gfl/'
    'gfl_r50_fpn_1x_coco/gfl_r50_fpn_1x_coco_20200629_121244-25944287.pth')
