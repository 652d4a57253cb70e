"""Helpers without a subpackage of their own."""

from .files import atomic_path, write_json
from .progress import progress_bar

__all__ = ['atomic_path', 'progress_bar', 'write_json']
