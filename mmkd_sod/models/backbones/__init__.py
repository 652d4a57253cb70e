"""Backbones of the saliency networks."""
from .paddle_mobilenet_v3 import PaddleMobileNetV3
from .vgg import VGG

__all__ = ['VGG', 'PaddleMobileNetV3']
