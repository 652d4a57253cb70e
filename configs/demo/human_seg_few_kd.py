"""human_seg with one mask in four: KD-SCFNet, which sees all 220 photographs and no mask."""
_base_ = ['./human_seg_scfnet_kd.py']
model = dict(
    architecture=dict(cfg_path='configs/demo/human_seg_few_student.py'),
    teacher=dict(cfg_path='configs/demo/human_seg_few_teacher.py'),
    teacher_ckpt='work_dirs/human_seg_few_teacher/epoch_60.pth')
