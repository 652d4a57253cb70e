"""BCCD: the plain student."""
_base_ = [
    './_base_/retinanet_small.py', './_base_/bccd_detection.py', './_base_/schedule_small.py'
]
model = dict(bbox_head=dict(num_classes=3))
