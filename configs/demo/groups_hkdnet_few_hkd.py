"""A quarter of the RGB-D groups, a teacher trained on all: logits with a fitted temperature.

The teacher's maps are nearly saturated, so the temperature is fitted to them. Similarities have a
tenth of the released weight.
"""
_base_ = ['../_base_/distillers/hkd.py', './_base_/few_groups.py']
model = dict(
    architecture=dict(cfg_path='configs/demo/groups_hkdnet_few_student.py'),
    teacher=dict(cfg_path='configs/demo/groups_hkdnet_teacher.py'),
    teacher_ckpt='work_dirs/groups_hkdnet_teacher/epoch_80.pth',
    distiller=dict(
        target_entropy=0.5,
        loss_fpd=None,
        loss_dssd=dict(loss_weight=0.4),
        loss_dssd_decoder=dict(loss_weight=0.1),
        # The released stages, at 60 epochs instead of 100.
        schedule=dict(stage_ends=(18, 36), tau_step=5)))
