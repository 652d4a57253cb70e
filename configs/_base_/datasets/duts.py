"""DUTS: 10,553 images to train on, 5,019 to test on."""
_base_ = ['./sod_sets.py']
train_dataloader = dict(dataset=_base_.duts_tr)
val_dataloader = dict(dataset=_base_.duts_te)
test_dataloader = dict(dataset=_base_.duts_te)
