# SCFNet on Swin-B: 88.23 M parameters.
_base_ = './scfnet_mobilenetv3.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmseg.SwinTransformer',
        embed_dims=128,
        depths=(2, 2, 18, 2),
        num_heads=(4, 8, 16, 32)),
    decode_head=dict(in_channels=[128, 256, 512, 1024], channels=64))
