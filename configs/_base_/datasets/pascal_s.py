"""PASCAL-S: 850 test images."""
_base_ = ['./sod_sets.py']
val_dataloader = dict(dataset=_base_.pascal_s)
test_dataloader = dict(dataset=_base_.pascal_s)
