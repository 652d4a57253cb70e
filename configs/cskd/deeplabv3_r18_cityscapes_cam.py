"""Cityscapes: DeepLabV3-R18 <- DeepLabV3-R101, logits and channel attention only."""
_base_ = ['./deeplabv3_r18_cityscapes.py']
model = dict(distiller=dict(loss_feat=dict(pam_weight=0.0)))
