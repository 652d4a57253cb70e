"""Backbones of the saliency networks."""

from .paddle_mobilenet_v3 import PaddleMobileNetV3
from .shunted_transformer import ShuntedTransformer, convert_shunted_keys
from .two_stream import TwoStreamBackbone
from .vgg import VGG

__all__ = [
    'VGG',
    'PaddleMobileNetV3',
    'ShuntedTransformer',
    'TwoStreamBackbone',
    'convert_shunted_keys',
]
