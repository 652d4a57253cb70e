"""human_seg: SCFNet on MobileNetV3 of full width, from masks."""
_base_ = ['./human_seg_scfnet_student.py']
model = dict(
    backbone=dict(widen_factor=1.0),
    decode_head=dict(in_channels=[24, 40, 112, 160], channels=64))
