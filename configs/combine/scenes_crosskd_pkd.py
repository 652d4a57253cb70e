"""Two distillers with weight and schedule: CrossKD throughout, PKD until epoch 6."""
_base_ = ['../demo/scenes_gfl_crosskd.py', '../_base_/distillers/pkd.py']
model = dict(
    distiller=dict(
        _delete_=True,
        type='mmkd_sod.CompositeDistiller',
        distillers=[
            _base_.model.distiller,
            # Half of its usual weight, fading out from epoch 4.
            dict(distiller=_base_.pkd, name='pkd', weight=0.5, end=6, decay=2)
        ]))
custom_hooks = [dict(type='mmkd_sod.EpochScheduleHook')]
