"""DUT-OMRON: 5,168 test images."""
_base_ = ['./sod_sets.py']
val_dataloader = dict(dataset=_base_.dut_omron)
test_dataloader = dict(dataset=_base_.dut_omron)
