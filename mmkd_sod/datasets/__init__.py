"""Data sets and the generator of scenes."""
