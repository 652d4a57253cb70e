"""Tiny detectors and segmentors for tests and tools; the package itself never imports this."""
