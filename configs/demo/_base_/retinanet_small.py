"""Like gfl_small.py with a RetinaNet head: 9 anchors per location, boxes as deltas."""
_base_ = ['./gfl_small.py']
model = dict(
    type='RetinaNet',
    bbox_head=dict(
        _delete_=True,
        type='RetinaHead',
        num_classes=80,
        in_channels=64,
        feat_channels=64,
        stacked_convs=3,
        norm_cfg=_base_.norm,
        anchor_generator=dict(
            type='AnchorGenerator', ratios=[0.5, 1.0, 2.0], octave_base_scale=4,
            scales_per_octave=3, strides=[8, 16, 32, 64, 128]),
        bbox_coder=dict(
            type='DeltaXYWHBBoxCoder', target_means=[.0] * 4, target_stds=[1.0] * 4),
        loss_cls=dict(
            type='FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=1.0),
        loss_bbox=dict(type='L1Loss', loss_weight=1.0)),
    train_cfg=dict(
        _delete_=True,
        assigner=dict(
            type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.4, min_pos_iou=0,
            ignore_iof_thr=-1),
        sampler=dict(type='PseudoSampler'),
        allowed_border=-1,
        pos_weight=-1))
