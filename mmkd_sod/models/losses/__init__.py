"""Distillation and task losses: plain modules that see tensors only."""
from .boundary_dice import BoundaryDiceLoss, boundary_map, boundary_window
from .dice import DiceLoss, dice_per_image
from .kd_kl_div import KDKLDivLoss
from .kd_quality_focal import KDQualityFocalLoss
from .structure_polishing import StructurePolishingLoss

__all__ = [
    'BoundaryDiceLoss', 'DiceLoss', 'KDKLDivLoss', 'KDQualityFocalLoss', 'StructurePolishingLoss',
    'boundary_map', 'boundary_window', 'dice_per_image'
]
