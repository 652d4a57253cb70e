"""DUTS: 10,553 training and 5,019 test images."""
_base_ = ['./sod_sets.py']
train_dataloader = dict(dataset=_base_.duts_tr)
val_dataloader = dict(dataset=_base_.duts_te)
test_dataloader = dict(dataset=_base_.duts_te)
