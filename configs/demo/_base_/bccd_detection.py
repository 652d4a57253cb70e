"""BCCD blood cells at 320 x 240.

ln -s PATH_TO_BCCD data/bccd
python tools/dataset_converters/voc_to_coco.py data/bccd
"""
_base_ = ['./small_detection.py']

scale = (320, 240)  # width, height: half of the original size

train_pipeline = _base_.train_pipeline
train_pipeline[2].scale = scale
# Cells have no orientation: horizontal, vertical or diagonal flip with probability 1/4 each, like
# independent horizontal and vertical flips with probability 1/2.
train_pipeline[3] = dict(
    type='RandomFlip', prob=0.75, direction=['horizontal', 'vertical', 'diagonal'])
test_pipeline = _base_.test_pipeline
test_pipeline[1].scale = scale

# In the order of the json, in which the converter sorts classes by name.
bccd = dict(
    data_root='data/',
    metainfo=dict(
        classes=('Platelets', 'RBC', 'WBC'), palette=[(0, 114, 178), (213, 94, 0), (0, 158, 115)]),
    data_prefix=dict(img='bccd/JPEGImages/'))
ann_dir = 'bccd_coco/annotations/'

train_dataloader = dict(
    dataset=dict(ann_file=ann_dir + 'train.json', pipeline=train_pipeline, **bccd))
val_dataloader = dict(
    dataset=dict(ann_file=ann_dir + 'val.json', pipeline=test_pipeline, **bccd))
test_dataloader = dict(
    dataset=dict(ann_file=ann_dir + 'test.json', pipeline=test_pipeline, **bccd))
val_evaluator = dict(ann_file='data/' + ann_dir + 'val.json')
test_evaluator = dict(ann_file='data/' + ann_dir + 'test.json')
