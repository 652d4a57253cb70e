"""human_seg with one mask in four: KD-SCFNet on all 220 photographs without masks."""
_base_ = ['./human_seg_scfnet_kd.py']
model = dict(
    architecture=dict(cfg_path='configs/demo/human_seg_few_student.py'),
    teacher=dict(cfg_path='configs/demo/human_seg_few_teacher.py'),
    teacher_ckpt='work_dirs/human_seg_few_teacher/epoch_60.pth')
