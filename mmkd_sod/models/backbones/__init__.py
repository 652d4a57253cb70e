"""Backbones of the saliency networks."""
