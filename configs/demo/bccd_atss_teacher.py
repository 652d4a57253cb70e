"""BCCD: the teacher, four times as wide and trained two and a half times as long."""
_base_ = ['./bccd_atss_student.py']
model = dict(backbone=dict(base_channels=48), neck=dict(in_channels=[48, 96, 192, 384]))
train_cfg = dict(max_epochs=45, val_interval=15)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', T_max=45, convert_to_iter_based=True)
]
