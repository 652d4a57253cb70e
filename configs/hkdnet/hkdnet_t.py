"""HKDNet-T, the teacher: HKDNet on the Shunted Transformer B, 86.56 M parameters."""
_base_ = ['./hkdnet_s.py']
model = dict(encoder=dict(arch='B', init_cfg=dict(checkpoint='checkpoints/shunted_b.pth')))
