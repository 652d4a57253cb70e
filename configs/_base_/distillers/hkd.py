"""HKDNet's distillation as released; all terms have weight 1 in the total."""
model = dict(
    type='mmkd_sod.DenseDistill',
    distiller=dict(
        type='mmkd_sod.HKDDistiller',
        loss_pnlad=dict(
            type='mmkd_sod.PNLADLoss', level_weights=(4, 1, 1, 1), pos_weight=0.9375),
        label_weight=0.0625,
        loss_fpd=dict(type='mmkd_sod.FPDLoss', level_weights=(4, 1, 1, 1)),
        loss_dssd=dict(type='mmkd_sod.DSSDLoss', loss_weight=4.0),
        loss_dssd_decoder=dict(type='mmkd_sod.DSSDLoss'),
        schedule=dict()))
# Tells the distiller the epoch, which decides on stage and temperature.
custom_hooks = [dict(type='mmkd_sod.EpochScheduleHook')]
