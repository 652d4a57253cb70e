"""HKDNet's complete distillation as released; all terms have weight 1 in the total."""
_base_ = ['./pnlad.py']
model = dict(
    distiller=dict(
        loss_fpd=dict(type='mmkd_sod.FPDLoss', level_weights=(4, 1, 1, 1)),
        loss_dssd=dict(type='mmkd_sod.DSSDLoss', loss_weight=4.0),
        loss_dssd_decoder=dict(type='mmkd_sod.DSSDLoss')))
