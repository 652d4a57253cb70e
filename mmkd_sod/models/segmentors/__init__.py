"""Segmentors of RGB-D inputs."""

from .hkdnet import HKDNet

__all__ = ['HKDNet']
