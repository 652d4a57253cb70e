"""Comparing models, reading inputs and writing weak labels."""
