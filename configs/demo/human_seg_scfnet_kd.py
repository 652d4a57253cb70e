"""human_seg: KD-SCFNet without masks; otherwise equal to human_seg_scfnet_student.py."""
_base_ = ['./human_seg_scfnet_masks_kd.py']
model = dict(calculate_student_loss=False)
train_dataloader = dict(
    dataset=dict(data_prefix=dict(_delete_=True, img_path='image'),
                 pipeline=_base_.unlabelled_pipeline))
