"""gfl_r50.py and PKD on the neck. Published AP: 43.9 (without PKD 43.7)."""
_base_ = ['./gfl_r50.py', '../_base_/distillers/pkd.py']
model = dict(
    distiller=dict(
        _delete_=True,
        type='mmkd_sod.CompositeDistiller',
        distillers=[_base_.model.distiller, _base_.pkd]))
