"""40k iterations of SGD 0.02 with poly decay: shared by the CSKD recipes."""
_base_ = ['mmseg::_base_/schedules/schedule_40k.py', 'mmseg::_base_/default_runtime.py']
custom_imports = dict(imports=['mmkd_sod'], allow_failed_imports=False)
optim_wrapper = dict(optimizer=dict(lr=0.02, weight_decay=0.0001))
auto_scale_lr = dict(enable=False, base_batch_size=16)
