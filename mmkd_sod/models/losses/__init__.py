"""Distillation and task losses: modules that take and return tensors."""

from .boundary_dice import BoundaryDiceLoss, boundary_map, boundary_window
from .channel_spatial_kd import ChannelSpatialKDLoss
from .cka import CKALoss
from .dice import DiceLoss, dice_per_image
from .dssd import DSSDLoss
from .fpd import FPDLoss
from .kd_kl_div import KDKLDivLoss
from .kd_quality_focal import KDQualityFocalLoss
from .pnlad import PNLADLoss
from .saliency_bce import SaliencyBCELoss
from .structure_polishing import StructurePolishingLoss

__all__ = [
    'BoundaryDiceLoss',
    'CKALoss',
    'ChannelSpatialKDLoss',
    'DSSDLoss',
    'DiceLoss',
    'FPDLoss',
    'KDKLDivLoss',
    'KDQualityFocalLoss',
    'PNLADLoss',
    'SaliencyBCELoss',
    'StructurePolishingLoss',
    'boundary_map',
    'boundary_window',
    'dice_per_image',
]
