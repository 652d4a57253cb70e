"""HKDNet-S, the student; its encoders start from ImageNet weights of the Shunted Transformer T."""
_base_ = [
    '../_base_/models/hkdnet.py', '../_base_/datasets/rgbd_cosod.py',
    '../_base_/schedules/hkdnet.py'
]
model = dict(
    encoder=dict(init_cfg=dict(type='Pretrained', checkpoint='checkpoints/shunted_t.pth')))
