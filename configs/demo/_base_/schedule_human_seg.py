"""60 epochs of AdamW with cosine decay, from random weights; runtime settings of human_seg."""
_base_ = ['mmseg::_base_/default_runtime.py']
custom_imports = dict(imports=['mmkd_sod'], allow_failed_imports=False)

max_epochs = 60
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=20)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='AdamW', lr=8e-3, weight_decay=0.05))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=112),
    dict(type='CosineAnnealingLR', T_max=max_epochs, convert_to_iter_based=True)
]

log_processor = dict(by_epoch=True)
custom_hooks = [dict(type='mmkd_sod.EpochScheduleHook')]
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=9),
    checkpoint=dict(
        type='CheckpointHook', interval=5, max_keep_ckpts=1, save_best='sod/MAE', rule='less'))
randomness = dict(seed=0)
