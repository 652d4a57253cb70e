"""BCCD: the student distilled by CrossKD; otherwise equal to bccd_gfl_student.py."""
_base_ = [
    '../_base_/distillers/crosskd_gfl.py', './_base_/bccd_detection.py',
    './_base_/schedule_small.py'
]
model = dict(
    architecture=dict(cfg_path='configs/demo/bccd_gfl_student.py'),
    teacher=dict(cfg_path='configs/demo/bccd_gfl_teacher.py'),
    teacher_ckpt='work_dirs/bccd_gfl_teacher/epoch_45.pth',
    distiller=dict(reused_teacher_head_idx=2))
