"""Student, frozen teacher and distiller, put together."""

from .dense_distill import DenseDistill

__all__ = ['DenseDistill']
