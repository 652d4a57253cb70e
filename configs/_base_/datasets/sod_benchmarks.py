"""Train on DUTS-TR, validate on ECSSD, test on the five sets of the literature in one run."""
_base_ = ['./sod_sets.py']
train_dataloader = dict(dataset=_base_.duts_tr)
val_dataloader = dict(dataset=_base_.ecssd)
test_dataloader = dict(
    dataset=dict(
        type='ConcatDataset',
        datasets=[_base_.duts_te, _base_.ecssd, _base_.hku_is, _base_.dut_omron,
                  _base_.pascal_s]))
