"""A quarter of the generated RGB-D groups: 72 images of 9 groups, 60 epochs."""
_base_ = ['./groups_rgbd.py', './schedule_groups.py']
train_dataloader = dict(dataset=dict(indices=72))
train_cfg = dict(max_epochs=60, val_interval=20)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', T_max=60, convert_to_iter_based=True)
]
