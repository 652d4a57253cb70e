"""ECSSD: 1,000 images to test on."""
_base_ = ['./sod_sets.py']
val_dataloader = dict(dataset=_base_.ecssd)
test_dataloader = dict(dataset=_base_.ecssd)
