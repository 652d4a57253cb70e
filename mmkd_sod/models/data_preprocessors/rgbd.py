"""Data preprocessor that stacks images and depth maps."""

from collections.abc import Sequence

import torch
from mmseg.models import SegDataPreProcessor
from torch import Tensor

from mmkd_sod.errors import DataError
from mmkd_sod.registry import MODELS


@MODELS.register_module()
class RGBDDataPreprocessor(SegDataPreProcessor):
    """Stacks images and depth maps to (N, 6, H, W), with mmseg's padding and normalisation.

    Images are normalised; depth maps, in [0, 1], are repeated to three channels and not normalised.
    Both are padded with zeros to multiples of ``size_divisor`` in training and testing, masks with
    ``seg_pad_val``.

    Args:
        mean (Sequence[float]): Mean of the image's channels, in the network's order.
        std (Sequence[float]): Standard deviation of the image's channels, in the same order.
        bgr_to_rgb (bool): Whether to reverse the image's channels.
        size_divisor (int): Divisor of the padded height and width.
        kwargs: Arguments of mmseg's ``SegDataPreProcessor``.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        mean: Sequence[float] = (123.675, 116.28, 103.53),
        std: Sequence[float] = (58.395, 57.12, 57.375),
        bgr_to_rgb: bool = True,
        size_divisor: int = 32,
        **kwargs,
    ) -> None:
        kwargs.setdefault('test_cfg', dict(size_divisor=size_divisor))
        # mmseg accepts either size or size_divisor.
        padding = dict(size_divisor=size_divisor) if kwargs.get('size') is None else {}
        super().__init__(mean=mean, std=std, bgr_to_rgb=bgr_to_rgb, **padding, **kwargs)
        # Appended here, since onedl-mmsegmentation accepts at most three means.
        self.mean = torch.cat([self.mean, torch.zeros(3, 1, 1)])
        self.std = torch.cat([self.std, torch.ones(3, 1, 1)])
        self._flips = bgr_to_rgb or kwargs.get('rgb_to_bgr', False)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Stack a batch.

        Args:
            data (dict): ``inputs``: ``dict(img=[(3, H, W)], depth=[(1, H, W)])``, as
                ``PackRGBDInputs`` packs them; ``data_samples``.
            training (bool): Whether to pad masks too.

        Returns:
            dict: ``inputs`` (N, 6, H, W) and ``data_samples``.

        Raises:
            DataError: Depth maps are missing or differ in size from their images.
        """
        data = self.cast_data(data)
        inputs = data['inputs']
        if not isinstance(inputs, dict) or not {'img', 'depth'} <= inputs.keys():
            raise DataError(
                'RGBDDataPreprocessor: the batch holds no depth maps; it needs images '
                'and depth maps; put LoadDepth and PackRGBDInputs into the pipeline'
            )
        data = dict(
            data,
            inputs=[
                self._join(img, depth)
                for img, depth in zip(inputs['img'], inputs['depth'], strict=True)
            ],
        )
        return super().forward(data, training)

    def _join(self, img: Tensor, depth: Tensor) -> Tensor:
        """Return a (6, H, W) tensor; mmseg converts the channels of 3-channel inputs only."""
        if img.shape[1:] != depth.shape[1:]:
            raise DataError(
                f'RGBDDataPreprocessor: image {tuple(img.shape[1:])} and depth map '
                f'{tuple(depth.shape[1:])} differ in size; put LoadDepth before all '
                'transforms that resize or crop'
            )
        if self._flips:
            img = img.flip(0)
        return torch.cat([img.float(), depth.float().expand(3, -1, -1)])
