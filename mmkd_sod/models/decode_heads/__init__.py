"""Decode heads of the saliency networks."""

from .hkd_head import HKDHead
from .scf_head import SCFHead

__all__ = ['HKDHead', 'SCFHead']
