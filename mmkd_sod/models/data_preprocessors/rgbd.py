"""Image and depth map as one tensor."""
from collections.abc import Sequence

import torch
from mmseg.models import SegDataPreProcessor
from torch import Tensor

from mmkd_sod.errors import DataError
from mmkd_sod.registry import MODELS


@MODELS.register_module()
class RGBDDataPreprocessor(SegDataPreProcessor):
    """Stacks images and depth maps to (N, 6, H, W), with mmseg's padding and normalisation.

    The image is normalised; the depth map, in [0, 1], is repeated to three channels and left as it
    is. Both are filled up to ``size_divisor`` with zeros, in training and in testing, the mask with
    ``seg_pad_val``.

    Args:
        mean (Sequence[float]): Mean of the image's channels, in the network's channel order.
        std (Sequence[float]): Standard deviation of these channels.
        bgr_to_rgb (bool): Turn the image's channels round.
        size_divisor (int): Height and width become multiples of it.
        kwargs: As for mmseg's ``SegDataPreProcessor``.
    """

    mean: Tensor
    std: Tensor

    def __init__(self,
                 mean: Sequence[float] = (123.675, 116.28, 103.53),
                 std: Sequence[float] = (58.395, 57.12, 57.375),
                 bgr_to_rgb: bool = True,
                 size_divisor: int = 32,
                 **kwargs) -> None:
        kwargs.setdefault('test_cfg', dict(size_divisor=size_divisor))
        # mmseg pads to either of them.
        padding = dict(size_divisor=size_divisor) if kwargs.get('size') is None else {}
        super().__init__(mean=mean, std=std, bgr_to_rgb=bgr_to_rgb, **padding, **kwargs)
        # The depth map is left as it is. (onedl-mmsegmentation takes no more than three means.)
        self.mean = torch.cat([self.mean, torch.zeros(3, 1, 1)])
        self.std = torch.cat([self.std, torch.ones(3, 1, 1)])
        self._flips = bgr_to_rgb or kwargs.get('rgb_to_bgr', False)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Stack a batch.

        Args:
            data (dict): ``inputs``: ``dict(img=[(3, H, W)], depth=[(1, H, W)])``, as
                :class:`PackRGBDInputs` leaves them; ``data_samples``.
            training (bool): Whether masks are filled up too.

        Returns:
            dict: ``inputs`` (N, 6, H, W) and ``data_samples``.

        Raises:
            DataError: An image comes without a depth map of its size.
        """
        data = self.cast_data(data)
        inputs = data['inputs']
        if not isinstance(inputs, dict) or not {'img', 'depth'} <= inputs.keys():
            raise DataError('RGBDDataPreprocessor: the batch holds no depth maps; put LoadDepth '
                            'and PackRGBDInputs into the pipeline')
        data = dict(data, inputs=[self._join(img, depth) for img, depth in
                                  zip(inputs['img'], inputs['depth'], strict=True)])
        return super().forward(data, training)

    def _join(self, img: Tensor, depth: Tensor) -> Tensor:
        """One (6, H, W) tensor; mmseg's channel conversion passes by what has six channels."""
        if img.shape[1:] != depth.shape[1:]:
            raise DataError(f'RGBDDataPreprocessor: image {tuple(img.shape[1:])} and depth map '
                            f'{tuple(depth.shape[1:])} differ in size; load the depth map before '
                            'anything is resized or cropped')
        if self._flips:
            img = img.flip(0)
        return torch.cat([img.float(), depth.float().expand(3, -1, -1)])
