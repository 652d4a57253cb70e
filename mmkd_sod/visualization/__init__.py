"""Pictures: curves and panels."""
