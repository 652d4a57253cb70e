"""CamVid at its own size, 480 x 360, crops of 360 x 360; 16 images per step on 4 GPUs.

ln -s PATH_TO_CAMVID data/camvid
"""
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomResize', scale=(480, 360), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='RandomCrop', crop_size=(360, 360), cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs')
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(480, 360), keep_ratio=True),
    # After resizing: mIoU is computed at the image's original size.
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs')
]

camvid = dict(type='mmkd_sod.CamVidDataset', data_root='data/camvid')
train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(split='train', pipeline=train_pipeline, **camvid))
test_loader = dict(
    batch_size=1, num_workers=4, persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False))
val_dataloader = dict(
    dataset=dict(split='val', test_mode=True, pipeline=test_pipeline, **camvid), **test_loader)
test_dataloader = dict(
    dataset=dict(split='test', test_mode=True, pipeline=test_pipeline, **camvid), **test_loader)
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
