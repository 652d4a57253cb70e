"""VOC2012-aug: DeepLabV3-MobileNetV2 <- DeepLabV3-R101."""
_base_ = ['./_base_/voc.py']
model = dict(
    architecture=dict(
        cfg_path='mmseg::mobilenet_v2/mobilenet-v2-d8_deeplabv3_4xb2-80k_cityscapes-512x1024.py'))
