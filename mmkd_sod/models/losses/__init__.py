"""Distillation and task losses: plain modules that see tensors only."""
from .kd_kl_div import KDKLDivLoss
from .kd_quality_focal import KDQualityFocalLoss

__all__ = ['KDKLDivLoss', 'KDQualityFocalLoss']
