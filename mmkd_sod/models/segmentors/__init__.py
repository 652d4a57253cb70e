"""Segmentors with more than one input."""
from .hkdnet import HKDNet

__all__ = ['HKDNet']
