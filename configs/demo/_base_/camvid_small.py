"""CamVid at 240 x 180, half of the original size.

ln -s PATH_TO_CAMVID data/camvid
"""
_base_ = ['../../_base_/datasets/camvid.py']

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomResize', scale=(240, 180), ratio_range=(0.75, 1.5), keep_ratio=True),
    dict(type='RandomCrop', crop_size=(180, 240), cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs')
]
test_pipeline = _base_.test_pipeline
test_pipeline[1].scale = (240, 180)

loader = dict(num_workers=0, persistent_workers=False)
train_dataloader = dict(
    batch_size=8,
    # CKA needs complete batches.
    drop_last=True,
    sampler=dict(type='DefaultSampler'),
    dataset=dict(pipeline=train_pipeline),
    **loader)
val_dataloader = dict(dataset=dict(pipeline=test_pipeline), **loader)
test_dataloader = dict(dataset=dict(pipeline=test_pipeline), **loader)
