"""Drawing curves, predictions and panels."""

from .curves import plot_curves
from .drawing import draw_boxes, draw_mask
from .grid import image_grid, save_image
from .panels import detection_panel
from .saliency import cut_out, saliency_overlay, saliency_panel
from .segmentation import paint_labels, segmentation_panel

__all__ = [
    'cut_out',
    'detection_panel',
    'draw_boxes',
    'draw_mask',
    'image_grid',
    'paint_labels',
    'plot_curves',
    'saliency_overlay',
    'saliency_panel',
    'save_image',
    'segmentation_panel',
]
