"""Generated scenes: the plain student."""
_base_ = [
    './_base_/gfl_small.py', './_base_/scenes_detection.py', './_base_/schedule_scenes.py'
]
model = dict(bbox_head=dict(num_classes=6))
