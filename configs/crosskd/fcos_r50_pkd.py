"""fcos_r50.py and PKD on the neck. Published AP: 41.3 (without PKD 41.1)."""
_base_ = ['./fcos_r50.py', '../_base_/distillers/pkd.py']
model = dict(
    distiller=dict(
        _delete_=True,
        type='mmkd_sod.CompositeDistiller',
        distillers=[_base_.model.distiller, _base_.pkd]))
