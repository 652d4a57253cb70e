"""Like schedule_small.py, 10 epochs."""
_base_ = ['./schedule_small.py']
train_cfg = dict(max_epochs=10, val_interval=2)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', T_max=10, convert_to_iter_based=True)
]
