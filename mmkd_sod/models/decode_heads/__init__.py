"""Decode heads of the saliency networks."""
from .scf_head import SCFHead

__all__ = ['SCFHead']
