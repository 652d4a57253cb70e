"""Positive and negative logits distillation as released with HKDNet, for any segmentor.

The level weights are those of HKDNet's four maps. Add mmkd_sod.EpochScheduleHook to custom_hooks:
it sets the epoch, which determines stage and temperature.
"""
model = dict(
    type='mmkd_sod.DenseDistill',
    distiller=dict(
        type='mmkd_sod.HKDDistiller',
        loss_pnlad=dict(
            type='mmkd_sod.PNLADLoss', level_weights=(4, 1, 1, 1), pos_weight=0.9375),
        label_weight=0.0625,
        schedule=dict()))
