"""Human-Segmentation-Dataset at up to 224 x 224: 220 training and 70 test photographs.

ln -s PATH_TO_HUMAN_SEG data/human_seg
"""
_base_ = ['../../_base_/datasets/sod_sets.py']

human_seg = dict(
    type='mmkd_sod.SODDataset',
    name='human_seg',
    data_root='data/human_seg',
    data_prefix=dict(img_path='image', seg_map_path='mask'))
test_pipeline = _base_.test_pipeline
test_pipeline[1].scale = (224, 224)

loader = dict(num_workers=0, persistent_workers=False)
train_dataloader = dict(
    batch_size=8,
    dataset=dict(ann_file='train.txt', pipeline=_base_.train_pipeline, **human_seg),
    **loader)
val_dataloader = dict(
    batch_size=10,
    dataset=dict(ann_file='test.txt', test_mode=True, pipeline=test_pipeline, **human_seg),
    **loader)
test_dataloader = val_dataloader
