"""RetinaNet R18 1x <- RetinaNet R50 1x."""
_base_ = ['../_base_/coco_1x.py', '../_base_/distillers/crosskd_retinanet.py']
model = dict(
    architecture=dict(cfg_path='mmdet::retinanet/retinanet_r18_fpn_1x_coco.py'),
    teacher=dict(cfg_path='mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'),
    teacher_ckpt='https://download.openmmlab.com/mmdetection/v2.0/retinanet/'
    'retinanet_r50_fpn_1x_coco/retinanet_r50_fpn_1x_coco_20200130-c2398f9e.pth')
