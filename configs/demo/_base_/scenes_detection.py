"""Generated scenes at 160 x 160 (tools/make_scenes.py); the test split is the val split."""
_base_ = ['./small_detection.py']

scale = (160, 160)  # width, height: the images' own size

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=scale, keep_ratio=False),
    # One of three with probability 1/4 each: left-right and up-down, independently, by 1/2.
    dict(type='RandomFlip', prob=0.75, direction=['horizontal', 'vertical', 'diagonal']),
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

scenes = dict(
    data_root='data/scenes/',
    metainfo=dict(
        classes=('disk', 'square', 'triangle', 'star', 'ring', 'cross'),
        palette=[(0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (86, 180, 233),
                 (230, 159, 0)]))
val_dataset = dict(
    ann_file='annotations/val.json', data_prefix=dict(img='val/images/'), pipeline=test_pipeline,
    **scenes)

train_dataloader = dict(
    dataset=dict(
        ann_file='annotations/train.json',
        data_prefix=dict(img='train/images/'),
        pipeline=train_pipeline,
        **scenes))
val_dataloader = dict(dataset=val_dataset)
test_dataloader = dict(dataset=val_dataset)
val_evaluator = dict(ann_file='data/scenes/annotations/val.json')
test_evaluator = val_evaluator
