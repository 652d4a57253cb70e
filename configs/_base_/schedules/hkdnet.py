"""100 epochs of Adam 3e-5, seed 7; saves the best checkpoint by S-measure."""
_base_ = ['mmseg::_base_/default_runtime.py']
custom_imports = dict(imports=['mmkd_sod'], allow_failed_imports=False)
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=100, val_interval=5)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=3e-5))
log_processor = dict(by_epoch=True)
# Sets the distiller's epoch, which determines stage and temperature.
custom_hooks = [dict(type='mmkd_sod.EpochScheduleHook')]
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=50),
    checkpoint=dict(
        type='CheckpointHook', interval=5, max_keep_ckpts=2, save_best='sod/Smeasure',
        rule='greater'))
randomness = dict(seed=7)
