"""ECSSD: 1,000 test images."""
_base_ = ['./sod_sets.py']
val_dataloader = dict(dataset=_base_.ecssd)
test_dataloader = dict(dataset=_base_.ecssd)
