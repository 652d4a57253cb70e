"""HKU-IS: 4,447 test images."""
_base_ = ['./sod_sets.py']
val_dataloader = dict(dataset=_base_.hku_is)
test_dataloader = dict(dataset=_base_.hku_is)
