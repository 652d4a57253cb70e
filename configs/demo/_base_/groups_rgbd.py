"""Generated RGB-D groups at 128 x 128 (tools/make_rgbd_groups.py).

The validation split is also the test split.
"""
_base_ = ['../../_base_/datasets/rgbd_cosod.py']

scale = (128, 128)  # width, height
train_pipeline = _base_.train_pipeline
train_pipeline[3].scale = scale
test_pipeline = _base_.test_pipeline
test_pipeline[2].scale = scale

loader = dict(num_workers=0, persistent_workers=False)
val_dataset = dict(
    _delete_=True,
    type='mmkd_sod.RGBDCoSODDataset',
    data_root='data/rgbd_groups/val',
    test_mode=True,
    pipeline=test_pipeline)
train_dataloader = dict(
    dataset=dict(data_root='data/rgbd_groups/train', pipeline=train_pipeline), **loader)
val_dataloader = dict(dataset=val_dataset, **loader)
test_dataloader = dict(dataset=val_dataset, **loader)
