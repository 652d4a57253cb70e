"""69 epochs of 128 images: SGD, 5 epochs of warm-up, then cosine (KD-SCFNet, ECCV 2022)."""
_base_ = ['mmseg::_base_/default_runtime.py']
custom_imports = dict(imports=['mmkd_sod'], allow_failed_imports=False)

max_epochs = 69
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=3)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

# From 6.4e-4 to 6.4e-2 and back to 6.4e-4; a tenth of that for the backbone.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=6.4e-2, momentum=0.9, weight_decay=5e-4),
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1))))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, end=5, convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        begin=5,
        end=max_epochs,
        T_max=max_epochs - 5,
        eta_min_ratio=0.01,
        convert_to_iter_based=True)
]
auto_scale_lr = dict(enable=False, base_batch_size=128)

log_processor = dict(by_epoch=True)
custom_hooks = [dict(type='mmkd_sod.EpochScheduleHook')]
default_hooks = dict(
    checkpoint=dict(
        type='CheckpointHook', interval=1, max_keep_ckpts=2, save_best='sod/MAE', rule='less'))
