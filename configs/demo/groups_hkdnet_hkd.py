"""RGB-D groups: the full recipe; otherwise equal to the plain student."""
_base_ = [
    '../_base_/distillers/hkd.py', './_base_/groups_rgbd.py', './_base_/schedule_groups.py'
]
model = dict(
    architecture=dict(cfg_path='configs/demo/groups_hkdnet_student.py'),
    teacher=dict(cfg_path='configs/demo/groups_hkdnet_teacher.py'),
    teacher_ckpt='work_dirs/groups_hkdnet_teacher/epoch_80.pth',
    # The released stages, at 40 epochs instead of 100.
    distiller=dict(schedule=dict(stage_ends=(12, 24), tau_step=7.5)))
