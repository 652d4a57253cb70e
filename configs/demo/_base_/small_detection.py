"""Loaders of the two small detection sets; the files beside this one say which data."""
_base_ = ['mmdet::_base_/datasets/coco_detection.py']

batch_size = 8
num_workers = 0

loader = dict(
    batch_size=batch_size, num_workers=num_workers, persistent_workers=num_workers > 0)
train_dataloader = loader
val_dataloader = loader
test_dataloader = loader
