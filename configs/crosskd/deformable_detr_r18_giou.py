"""deformable_detr_r18.py with normalised boxes and GIoU, the release's last variant."""
_base_ = ['./deformable_detr_r18.py']
model = dict(
    distiller=dict(
        boxes='normalised',
        loss_cls_kd=dict(beta=1.0),
        loss_iou_kd=dict(_delete_=True, type='mmdet.GIoULoss', loss_weight=1.0)))
