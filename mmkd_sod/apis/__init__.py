"""Inference for users."""
