"""Batches of salient object detection: one random side a batch."""
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
    """Normalise, and in training bring a whole batch to one random square side.

    KD-SCFNet (ECCV 2022) resizes each batch to a side of {224, 256, 288, 320, 352}. Images of any
    size come in, so nothing is padded. Images and floating maps are resized bilinearly, labels to
    the nearest pixel. The side is drawn from numpy's global generator, which a run's seed sets; in
    a distributed run all ranks take the first one's, as one process would take one for the batch.

    Args:
        sides (Sequence[int], optional): Sides to draw from in training; None stacks as mmseg does.
        mean (Sequence[float]): Mean of R, G and B, as in the paper.
        std (Sequence[float]): Standard deviation of R, G and B.
        bgr_to_rgb (bool): Images are loaded as BGR.
        kwargs: As for mmseg's ``SegDataPreProcessor``.

    Raises:
        ConfigError: A side is no positive multiple of 32, the networks' deepest stride.
    """

    def __init__(self, sides: Sequence[int] | None = (224, 256, 288, 320, 352),
                 mean: Sequence[float] = (124.55, 118.90, 102.94),
                 std: Sequence[float] = (56.77, 55.97, 57.50),
                 bgr_to_rgb: bool = True, **kwargs) -> None:
        if sides is not None and (not sides or any(s <= 0 or s % 32 for s in sides)):
            raise ConfigError(f'SODDataPreprocessor: sides={tuple(sides)} must be positive '
                              'multiples of 32')
        if sides is not None:
            kwargs.setdefault('size_divisor', 1)  # Nothing is left to pad.
        super().__init__(mean=mean, std=std, bgr_to_rgb=bgr_to_rgb, **kwargs)
        self.sides = None if sides is None else tuple(sides)

    def forward(self, data: dict, training: bool = False) -> dict:
        """As mmseg's, after the resizing of a training batch."""
        if training and self.sides is not None:
            data = self.cast_data(data)
            side = self._draw_side(self.sides)
            data['inputs'] = [resize_map(image.float(), side) for image in data['inputs']]
            for sample in data['data_samples']:
                resize_sample(sample, side)
        out = super().forward(data, training)
        for sample in out['data_samples'] or []:
            # mmseg leaves None when a sample has no label, and its heads then cannot predict.
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
    """Resize (C, H, W) to (C, side, side): bilinearly when floating, else to the nearest."""
    if x.shape[-2:] == (side, side):
        return x
    if x.is_floating_point():
        return F.interpolate(x[None], (side, side), mode='bilinear', align_corners=False)[0]
    return F.interpolate(x[None].float(), (side, side), mode='nearest-exact')[0].to(x.dtype)


def resize_sample(sample, side: int) -> None:
    """Resize every map of a data sample in place and say so in its ``img_shape``."""
    for name, value in sample.items():
        if isinstance(value, PixelData) and torch.is_tensor(value.get('data')):
            sample.set_field(PixelData(data=resize_map(value.data, side)), name, dtype=PixelData)
    sample.set_metainfo(dict(img_shape=(side, side)))
