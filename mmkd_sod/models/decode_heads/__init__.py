"""Decode heads of the saliency networks."""
