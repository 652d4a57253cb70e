# SCFNet on ResNet-50: 26.15 M parameters.
_base_ = './scfnet_mobilenetv3.py'
model = dict(
    backbone=dict(_delete_=True, type='mmseg.ResNet', depth=50),
    decode_head=dict(in_channels=[256, 512, 1024, 2048], channels=64))
