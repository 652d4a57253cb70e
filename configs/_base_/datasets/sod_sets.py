"""Salient object detection: pipelines, data loaders and paths of the five public sets.

Folders are named as in the archives of the sets. The other files of this folder select sets.
"""

augment = [
    dict(type='mmkd_sod.RandomBlur'),
    dict(type='mmkd_sod.RandomContrastBrightness'),
    dict(type='mmkd_sod.RandomEdgeCrop'),
    # Horizontal flip with probability 0.5 and, independently, vertical flip with 0.2.
    dict(
        type='mmseg.RandomFlip',
        prob=[0.4, 0.1, 0.1],
        direction=['horizontal', 'vertical', 'diagonal'],
    ),
    dict(type='mmkd_sod.PackSODInputs'),
]
train_pipeline = [dict(type='mmkd_sod.LoadSODImage'), dict(type='mmkd_sod.LoadSODMask'), *augment]
unlabelled_pipeline = [dict(type='mmkd_sod.LoadSODImage'), *augment]
test_pipeline = [
    dict(type='mmkd_sod.LoadSODImage'),
    dict(type='mmseg.Resize', scale=(352, 352), keep_ratio=False),
    # After resizing: metrics are computed at the image's original size.
    dict(type='mmkd_sod.LoadSODMask'),
    dict(type='mmkd_sod.PackSODInputs'),
]

loader = dict(num_workers=4, persistent_workers=True)
train_dataloader = dict(
    batch_size=128, drop_last=True, sampler=dict(type='DefaultSampler', shuffle=True), **loader
)
val_dataloader = dict(batch_size=32, sampler=dict(type='DefaultSampler', shuffle=False), **loader)
test_dataloader = val_dataloader
val_evaluator = dict(type='mmkd_sod.SODMetric')
test_evaluator = val_evaluator

# Stated rather than decided by the files: the literature thresholds these masks at half, and those
# of PASCAL-S have the grey levels of several annotators.
test_set = dict(
    type='mmkd_sod.SODDataset', test_mode=True, mask_values='levels', pipeline=test_pipeline
)
duts_tr = dict(
    type='mmkd_sod.SODDataset',
    name='DUTS-TR',
    data_root='data/DUTS/DUTS-TR',
    data_prefix=dict(img_path='DUTS-TR-Image', seg_map_path='DUTS-TR-Mask'),
    mask_values='levels',
    pipeline=train_pipeline,
)
duts_te = dict(
    name='DUTS-TE',
    data_root='data/DUTS/DUTS-TE',
    data_prefix=dict(img_path='DUTS-TE-Image', seg_map_path='DUTS-TE-Mask'),
    **test_set,
)
ecssd = dict(
    name='ECSSD',
    data_root='data/ECSSD',
    data_prefix=dict(img_path='images', seg_map_path='ground_truth_mask'),
    **test_set,
)
hku_is = dict(
    name='HKU-IS',
    data_root='data/HKU-IS',
    data_prefix=dict(img_path='imgs', seg_map_path='gt'),
    **test_set,
)
dut_omron = dict(
    name='DUT-OMRON',
    data_root='data/DUT-OMRON',
    data_prefix=dict(img_path='DUT-OMRON-image', seg_map_path='pixelwiseGT-new-PNG'),
    **test_set,
)
pascal_s = dict(
    name='PASCAL-S',
    data_root='data/PASCAL-S',
    data_prefix=dict(img_path='datasets/imgs/pascal', seg_map_path='datasets/masks/pascal'),
    **test_set,
)
