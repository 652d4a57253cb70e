"""FCOS R50 2x ms <- FCOS R101 2x ms. Published AP: 38.5 alone, 41.1 distilled, teacher 40.8."""
_base_ = ['../_base_/coco_fcos_2x.py', '../_base_/distillers/crosskd_fcos.py']
model = dict(
    architecture=dict(cfg_path='mmdet::fcos/fcos_r50-caffe_fpn_gn-head_ms-640-800-2x_coco.py'),
    teacher=dict(cfg_path='mmdet::fcos/fcos_r101-caffe_fpn_gn-head_ms-640-800-2x_coco.py'),
    teacher_ckpt='https://download.openmmlab.com/mmdetection/v2.0/fcos/fcos_r101_caffe_fpn_gn-head_mstrain_640-800_2x_coco/'
    'fcos_r101_caffe_fpn_gn-head_mstrain_640-800_2x_coco-511424d6.pth')
