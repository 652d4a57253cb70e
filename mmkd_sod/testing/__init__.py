"""Small detectors and segmentors for tests and tools; not imported by the rest of the package."""
