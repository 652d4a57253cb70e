"""RGB-D co-salient object detection: 8 images of one group per step, 256 x 256; three test sets.

Each root contains `image`, `depth` and `mask` with one folder per group.
"""
train_pipeline = [
    dict(type='mmkd_sod.LoadSODImage'),
    dict(type='mmkd_sod.LoadDepth'),
    dict(type='mmkd_sod.LoadSODMask'),
    dict(type='mmseg.Resize', scale=(256, 256), keep_ratio=False),
    dict(type='mmseg.RandomFlip', prob=0.5),
    dict(type='mmkd_sod.PackRGBDInputs')
]
test_pipeline = [
    dict(type='mmkd_sod.LoadSODImage'),
    dict(type='mmkd_sod.LoadDepth'),
    dict(type='mmseg.Resize', scale=(256, 256), keep_ratio=False),
    # After resizing: metrics are computed at the image's original size.
    dict(type='mmkd_sod.LoadSODMask'),
    dict(type='mmkd_sod.PackRGBDInputs')
]
train_set = dict(type='mmkd_sod.RGBDCoSODDataset', pipeline=train_pipeline)
test_set = dict(type='mmkd_sod.RGBDCoSODDataset', test_mode=True, pipeline=test_pipeline)
cosal150 = dict(data_root='data/RGBD-CoSal150', **test_set)

loader = dict(batch_size=8, num_workers=4, persistent_workers=True)
train_dataloader = dict(
    sampler=dict(type='DefaultSampler', shuffle=True),
    batch_sampler=dict(type='mmkd_sod.GroupBatchSampler'),
    dataset=dict(data_root='data/RGBD-CoSal1k/train', **train_set),
    **loader)
val_dataloader = dict(
    sampler=dict(type='DefaultSampler', shuffle=False), dataset=cosal150, **loader)
test_dataloader = dict(
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ConcatDataset',
        datasets=[
            dict(data_root='data/RGBD-CoSal1k/test', name='RGBD-CoSal1k', **test_set), cosal150,
            dict(data_root='data/RGBD-CoSeg183', **test_set)
        ]),
    **loader)
val_evaluator = dict(type='mmkd_sod.SODMetric')
test_evaluator = val_evaluator
