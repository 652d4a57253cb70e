"""Two distillers in turn: CSKD with a warm-up of 100 steps, then PNLAD."""
_base_ = ['../demo/camvid_pspnet_cskd.py']
pnlad = dict(
    type='mmkd_sod.HKDDistiller',
    loss_pnlad=dict(type='mmkd_sod.PNLADLoss', mode='pixel', pos_weight=16.))
model = dict(
    distiller=dict(
        _delete_=True,
        type='mmkd_sod.CompositeDistiller',
        distillers=[
            # 45 steps per epoch: it ends after 30 of 40 epochs.
            dict(distiller=_base_.model.distiller, by_epoch=False, warmup=100, end=1350),
            dict(distiller=pnlad, begin=30, warmup=2, curve='cosine')
        ]))
custom_hooks = [dict(type='mmkd_sod.EpochScheduleHook')]
