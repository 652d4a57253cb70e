"""Like coco_1x.py, 24 epochs."""
_base_ = [
    'mmdet::_base_/datasets/coco_detection.py', 'mmdet::_base_/schedules/schedule_2x.py',
    'mmdet::_base_/default_runtime.py'
]
custom_imports = dict(imports=['mmkd_sod'], allow_failed_imports=False)
optim_wrapper = dict(optimizer=dict(lr=0.01))
