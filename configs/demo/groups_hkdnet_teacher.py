"""RGB-D groups: the teacher, as wide as the student, three times as deep, trained twice as long."""
_base_ = ['./groups_hkdnet_student.py']
model = dict(
    encoder=dict(depths=(2, 3, 5, 2), mlp_ratios=(4, 4, 4, 4)),
    decode_head=dict(repeats=(2, 3, 3, 2)))
train_cfg = dict(max_epochs=80, val_interval=20)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', T_max=80, convert_to_iter_based=True)
]
