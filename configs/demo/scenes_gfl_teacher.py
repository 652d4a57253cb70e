"""Generated scenes: the teacher, wider and trained twice as long."""
_base_ = ['./scenes_gfl_student.py']
model = dict(backbone=dict(base_channels=32), neck=dict(in_channels=[32, 64, 128, 256]))
train_cfg = dict(max_epochs=20, val_interval=4)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', T_max=20, convert_to_iter_based=True)
]
