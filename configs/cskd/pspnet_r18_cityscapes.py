"""Cityscapes: PSPNet-R18 <- DeepLabV3-R101."""
_base_ = ['./_base_/cityscapes.py']
model = dict(
    architecture=dict(
        cfg_path='mmseg::pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py'))
