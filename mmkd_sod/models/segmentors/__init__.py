"""Segmentors with more than one input."""
