"""COCO, 12 epochs, 16 images per step, SGD 0.01: shared by the CrossKD recipes."""
_base_ = [
    'mmdet::_base_/datasets/coco_detection.py', 'mmdet::_base_/schedules/schedule_1x.py',
    'mmdet::_base_/default_runtime.py'
]
custom_imports = dict(imports=['mmkd_sod'], allow_failed_imports=False)
optim_wrapper = dict(optimizer=dict(lr=0.01))
