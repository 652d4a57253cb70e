"""ATSS R50 1x <- ATSS R101 1x. Published AP: 39.4 alone, 41.8 distilled, teacher 41.5."""
_base_ = ['../_base_/coco_1x.py', '../_base_/distillers/crosskd_atss.py']
model = dict(
    architecture=dict(cfg_path='mmdet::atss/atss_r50_fpn_1x_coco.py'),
    teacher=dict(cfg_path='mmdet::atss/atss_r101_fpn_1x_coco.py'),
    teacher_ckpt='https://download.openmmlab.com/mmdetection/v2.0/atss/'
    'atss_r101_fpn_1x_coco/atss_r101_fpn_1x_20200825-dfcadd6f.pth')
