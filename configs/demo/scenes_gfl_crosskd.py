"""Generated scenes: the student distilled by CrossKD; otherwise equal to the plain student."""
_base_ = [
    '../_base_/distillers/crosskd_gfl.py', './_base_/scenes_detection.py',
    './_base_/schedule_scenes.py'
]
model = dict(
    architecture=dict(cfg_path='configs/demo/scenes_gfl_student.py'),
    teacher=dict(cfg_path='configs/demo/scenes_gfl_teacher.py'),
    teacher_ckpt='work_dirs/demo/teacher/epoch_20.pth',
    distiller=dict(reused_teacher_head_idx=2))
