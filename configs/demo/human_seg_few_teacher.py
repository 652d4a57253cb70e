"""human_seg with one mask in four: the teacher, trained on the same 55 masks."""
_base_ = ['./human_seg_scfnet_teacher.py']
labelled = dict(_base_.train_dataloader.dataset, indices=55)
train_dataloader = dict(
    dataset=dict(_delete_=True, type='RepeatDataset', times=4, dataset=labelled))
