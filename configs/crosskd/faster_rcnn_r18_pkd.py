"""faster_rcnn_r18.py and PKD on the neck."""
_base_ = ['./faster_rcnn_r18.py', '../_base_/distillers/pkd.py']
model = dict(
    distiller=dict(
        _delete_=True,
        type='mmkd_sod.CompositeDistiller',
        distillers=[_base_.model.distiller, _base_.pkd]))
