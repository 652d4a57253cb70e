"""human_seg: positive and negative logits; otherwise equal to human_seg_scfnet_student.py."""
_base_ = [
    '../_base_/distillers/pnlad.py', './_base_/human_seg.py', './_base_/schedule_human_seg.py'
]
model = dict(
    architecture=dict(cfg_path='configs/demo/human_seg_scfnet_student.py'),
    teacher=dict(cfg_path='configs/demo/human_seg_scfnet_teacher.py'),
    teacher_ckpt='work_dirs/human_seg_scfnet_teacher/epoch_60.pth',
    # The released stages, at 60 epochs instead of 100; the level weights remain those of SCFNet.
    distiller=dict(
        loss_pnlad=dict(level_weights=(1, 1 / 2, 1 / 4, 1 / 8)),
        schedule=dict(stage_ends=(18, 36), tau_step=5, gt_weights=None)))
