"""40 epochs of AdamW with cosine decay; runtime settings of the RGB-D demos."""
_base_ = ['../../_base_/schedules/hkdnet.py']
train_cfg = dict(max_epochs=40, val_interval=10)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=1e-3, weight_decay=0.01),
    clip_grad=dict(max_norm=5, norm_type=2))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', T_max=40, convert_to_iter_based=True)
]
default_hooks = dict(
    logger=dict(interval=12),
    checkpoint=dict(interval=10, save_best=None, rule=None))
randomness = dict(seed=0)
