"""Data preprocessor of salient object detection: one random image size per batch."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.dist import broadcast, get_world_size
from mmengine.structures import PixelData
from mmseg.models.data_preprocessor import SegDataPreProcessor
from torch import Tensor

from mmkd_sod.errors import ConfigError
from mmkd_sod.registry import MODELS


@MODELS.register_module()
class SODDataPreprocessor(SegDataPreProcessor):
    """Normalises images and, in training, resizes each batch to one random square size.

    KD-SCFNet (ECCV 2022) resizes each batch to a side of {224, 256, 288, 320, 352}. Images may have
    any size. Images and floating maps are resized bilinearly, labels to the nearest pixel. The side
    is drawn from numpy's global generator, which the seed of the run sets; in a distributed run all
    ranks use the side of rank 0.

    Args:
        sides (Sequence[int], optional): Sides to draw from in training; None for no resizing.
        mean (Sequence[float]): Mean of R, G, B; default: the paper's.
        std (Sequence[float]): Standard deviation of R, G, B; default: the paper's.
        bgr_to_rgb (bool): Whether images are loaded as BGR.
        kwargs: Arguments of mmseg's ``SegDataPreProcessor``.

    Raises:
        ConfigError: A side is not a positive multiple of 32, the deepest stride of the networks.
    """

    def __init__(
        self,
        sides: Sequence[int] | None = (224, 256, 288, 320, 352),
        mean: Sequence[float] = (124.55, 118.90, 102.94),
        std: Sequence[float] = (56.77, 55.97, 57.50),
        bgr_to_rgb: bool = True,
        **kwargs,
    ) -> None:
        if sides is not None and (not sides or any(s <= 0 or s % 32 for s in sides)):
            raise ConfigError(
                f'SODDataPreprocessor: sides={tuple(sides)} must be positive '
                'multiples of 32; the paper uses 224, 256, 288, 320 and 352'
            )
        if sides is not None:
            kwargs.setdefault('size_divisor', 1)  # no padding
        super().__init__(mean=mean, std=std, bgr_to_rgb=bgr_to_rgb, **kwargs)
        self.sides = None if sides is None else tuple(sides)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Resize the batch in training, then normalise and stack it.

        Args:
            data (dict): ``inputs``, a list of (3, H, W), and ``data_samples``.
            training (bool): Whether to resize.

        Returns:
            dict: ``inputs`` (N, 3, side, side) and ``data_samples``.
        """
        if training and self.sides is not None:
            data = self.cast_data(data)
            side = self._draw_side(self.sides)
            data['inputs'] = [resize_map(image.float(), side) for image in data['inputs']]
            for sample in data['data_samples']:
                resize_sample(sample, side)
        out = super().forward(data, training)
        for sample in out['data_samples'] or []:
            # mmseg sets None for samples without a label, with which its heads cannot predict.
            if sample.metainfo.get('pad_shape', 0) is None:
                sample.set_metainfo(dict(pad_shape=tuple(out['inputs'].shape[2:])))
        return out

    def _draw_side(self, sides: Sequence[int]) -> int:
        side = int(np.random.choice(sides))
        if get_world_size() == 1:
            return side
        shared = torch.tensor(side, device=self.device)
        broadcast(shared)
        return int(shared)


def resize_map(x: Tensor, side: int) -> Tensor:
    """Resize (C, H, W) to (C, side, side), floating maps bilinearly, others to the nearest."""
    if x.shape[-2:] == (side, side):
        return x
    if x.is_floating_point():
        return F.interpolate(x[None], (side, side), mode='bilinear', align_corners=False)[0]
    return F.interpolate(x[None].float(), (side, side), mode='nearest-exact')[0].to(x.dtype)


def resize_sample(sample, side: int) -> None:
    """Resize all maps of a data sample in place and set its ``img_shape``."""
    for name, value in sample.items():
        if isinstance(value, PixelData) and torch.is_tensor(value.get('data')):
            sample.set_field(PixelData(data=resize_map(value.data, side)), name, dtype=PixelData)
    sample.set_metainfo(dict(img_shape=(side, side)))
