"""Generated scenes at 160 x 160 (tools/make_scenes.py); the test split is the validation split."""
_base_ = ['./small_detection.py']

scenes = dict(
    data_root='data/scenes/',
    metainfo=dict(
        classes=('disk', 'square', 'triangle', 'star', 'ring', 'cross'),
        palette=[(0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (86, 180, 233),
                 (230, 159, 0)]))
val_dataset = dict(
    ann_file='annotations/val.json',
    data_prefix=dict(img='val/images/'),
    pipeline=_base_.test_pipeline,
    **scenes)

train_dataloader = dict(
    dataset=dict(
        ann_file='annotations/train.json',
        data_prefix=dict(img='train/images/'),
        pipeline=_base_.train_pipeline,
        **scenes))
val_dataloader = dict(dataset=val_dataset)
test_dataloader = dict(dataset=val_dataset)
val_evaluator = dict(ann_file='data/scenes/annotations/val.json')
test_evaluator = val_evaluator
