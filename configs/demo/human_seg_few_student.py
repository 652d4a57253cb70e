"""human_seg with one mask in four: FS-SCFNet on 55 photographs, with as many steps as on 220."""
_base_ = ['./human_seg_scfnet_student.py']
labelled = dict(_base_.train_dataloader.dataset, indices=55)
train_dataloader = dict(
    dataset=dict(_delete_=True, type='RepeatDataset', times=4, dataset=labelled))
