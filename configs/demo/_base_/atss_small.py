"""Like gfl_small.py with an ATSS head: boxes as deltas, and centerness."""
_base_ = ['./gfl_small.py']
head = {key: value for key, value in _base_.model.bbox_head.items()
        if key not in ('type', 'loss_cls', 'loss_dfl', 'reg_max')}
model = dict(
    type='ATSS',
    bbox_head=dict(
        _delete_=True,
        type='ATSSHead',
        bbox_coder=dict(
            type='DeltaXYWHBBoxCoder', target_means=[.0] * 4, target_stds=[.1, .1, .2, .2]),
        loss_cls=dict(
            type='FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=1.0),
        loss_centerness=dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0),
        **head))
