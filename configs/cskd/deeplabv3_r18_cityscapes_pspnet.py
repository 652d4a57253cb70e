"""Cityscapes: DeepLabV3-R18 <- PSPNet-R101."""
_base_ = ['./_base_/cityscapes_pspnet.py']
model = dict(
    architecture=dict(
        cfg_path='mmseg::deeplabv3/deeplabv3_r18-d8_4xb2-80k_cityscapes-512x1024.py'))
