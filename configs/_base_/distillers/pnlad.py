"""Positive and negative logits distillation as HKDNet released it, for any segmentor.

The level weights are those of HKDNet's four maps. mmkd_sod.EpochScheduleHook has to be among the
custom_hooks: it tells the epoch, which decides on stage and temperature.
"""
model = dict(
    type='mmkd_sod.DenseDistill',
    distiller=dict(
        type='mmkd_sod.HKDDistiller',
        loss_pnlad=dict(
            type='mmkd_sod.PNLADLoss', level_weights=(4, 1, 1, 1), pos_weight=0.9375),
        label_weight=0.0625,
        schedule=dict()))
