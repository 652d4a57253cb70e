"""Data loaders for bccd_detection.py and scenes_detection.py, which add the data."""
_base_ = ['mmdet::_base_/datasets/coco_detection.py']

batch_size = 8
num_workers = 0
scale = (160, 160)  # width, height

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=scale, keep_ratio=False),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs')
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=scale, keep_ratio=False),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))
]

loader = dict(
    batch_size=batch_size, num_workers=num_workers, persistent_workers=num_workers > 0)
train_dataloader = loader
val_dataloader = loader
test_dataloader = loader
