"""Data samplers."""

from .group_batch_sampler import GroupBatchSampler

__all__ = ['GroupBatchSampler']
