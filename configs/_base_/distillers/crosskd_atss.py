"""CrossKD for ATSS heads, weights of arXiv 2306.11369: like RetinaNet, plus centerness."""
_base_ = ['./crosskd_retinanet.py']
model = dict(
    distiller=dict(
        loss_center_kd=dict(type='mmdet.CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0)))
