"""human_seg: masks and the teacher's maps; otherwise equal to the plain student."""
_base_ = [
    '../_base_/distillers/weak_label.py', './_base_/human_seg.py',
    './_base_/schedule_human_seg.py'
]
model = dict(
    architecture=dict(cfg_path='configs/demo/human_seg_scfnet_student.py'),
    teacher=dict(cfg_path='configs/demo/human_seg_scfnet_teacher.py'),
    teacher_ckpt='work_dirs/human_seg_scfnet_teacher/epoch_60.pth',
    calculate_student_loss=True)
