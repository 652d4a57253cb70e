"""human_seg: KD-SCFNet, which sees no mask, alike in all else to human_seg_scfnet_student.py."""
_base_ = [
    '../_base_/distillers/weak_label.py', './_base_/human_seg.py',
    './_base_/schedule_human_seg.py'
]
model = dict(
    architecture=dict(cfg_path='configs/demo/human_seg_scfnet_student.py'),
    teacher=dict(cfg_path='configs/demo/human_seg_scfnet_teacher.py'),
    teacher_ckpt='work_dirs/human_seg_scfnet_teacher/epoch_60.pth')
train_dataloader = dict(
    dataset=dict(data_prefix=dict(_delete_=True, img_path='image'),
                 pipeline=_base_.unlabelled_pipeline))
