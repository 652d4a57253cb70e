# SCFNet on VGG-16: 15.90 M parameters.
_base_ = './scfnet_mobilenetv3.py'
model = dict(
    backbone=dict(_delete_=True, type='mmkd_sod.VGG', depth=16, out_indices=(1, 2, 3, 4)),
    decode_head=dict(in_channels=[128, 256, 512, 512], channels=64))
