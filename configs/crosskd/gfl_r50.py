"""GFL R50 1x <- GFL R101 2x. Published AP: 40.2 alone, 43.7 distilled, teacher 44.9."""
_base_ = ['../_base_/coco_1x.py', '../_base_/distillers/crosskd_gfl.py']
model = dict(
    architecture=dict(cfg_path='mmdet::gfl/gfl_r50_fpn_1x_coco.py'),
    teacher=dict(cfg_path='mmdet::gfl/gfl_r101_fpn_ms-2x_coco.py'),
    teacher_ckpt='https://download.openmmlab.com/mmdetection/v2.0/gfl/'
    'gfl_r101_fpn_mstrain_2x_coco/gfl_r101_fpn_mstrain_2x_coco_20200629_200126-dd12f847.pth')
