"""human_seg: FS-SCFNet, 0.80 M parameters, from masks."""
_base_ = [
    '../_base_/models/scfnet_mobilenetv3.py', './_base_/human_seg.py',
    './_base_/schedule_human_seg.py'
]
model = dict(data_preprocessor=dict(sides=(160, 192, 224)))
