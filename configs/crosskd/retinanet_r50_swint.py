"""RetinaNet R50 1x <- RetinaNet Swin-T 1x. Published AP: 36.5 alone, 38.0 distilled, teacher 37.3.

mmdet's model zoo has this teacher's config but no weights: train it first (README.md here).
"""
_base_ = ['../_base_/coco_1x.py', '../_base_/distillers/crosskd_retinanet.py']
model = dict(
    architecture=dict(cfg_path='mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'),
    teacher=dict(cfg_path='mmdet::swin/retinanet_swin-t-p4-w7_fpn_1x_coco.py'),
    teacher_ckpt='checkpoints/retinanet_swin-t-p4-w7_fpn_1x_coco.pth')
