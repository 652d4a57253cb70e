"""Data preprocessors for more than one input."""
