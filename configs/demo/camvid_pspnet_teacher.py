"""CamVid: the teacher, three times as wide and trained longer."""
_base_ = ['./camvid_pspnet_student.py']
model = dict(
    backbone=dict(stem_channels=36, base_channels=36),
    decode_head=dict(in_channels=288, channels=144),
    auxiliary_head=dict(in_channels=144, channels=72))
train_cfg = dict(max_epochs=60, val_interval=20)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=50),
    dict(type='PolyLR', power=0.9, begin=0, end=60, convert_to_iter_based=True)
]
