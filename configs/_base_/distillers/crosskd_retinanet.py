"""CrossKD for RetinaNet heads, weights of arXiv 2306.11369."""
model = dict(
    type='mmkd_sod.DenseDistill',
    distiller=dict(
        type='mmkd_sod.CrossKDDistiller',
        reused_teacher_head_idx=3,
        loss_cls_kd=dict(type='mmkd_sod.KDQualityFocalLoss', beta=1.0, loss_weight=1.0),
        loss_reg_kd=dict(type='mmdet.GIoULoss', loss_weight=1.0)))
