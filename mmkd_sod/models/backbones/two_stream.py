"""Backbone with separate encoders for image and depth map."""

from mmengine.model import BaseModule
from torch import Tensor

from mmkd_sod.errors import ConfigError
from mmkd_sod.registry import MODELS


@MODELS.register_module()
class TwoStreamBackbone(BaseModule):
    """Encodes image and depth map with separate backbones that share no weights.

    Args:
        rgb (dict): Config of the image's backbone, from mmseg or this package.
        depth (dict, optional): Config of the depth map's backbone, with the same channels and
            strides; default: that of ``rgb``.
        init_cfg (dict, optional): mmengine's initialisation config.
    """

    def __init__(self, rgb: dict, depth: dict | None = None, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.rgb = MODELS.build(rgb)
        self.depth = MODELS.build(rgb if depth is None else depth)

    def forward(self, inputs: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Encode image and depth map.

        Args:
            inputs (Tensor): (N, 6, H, W): three channels of the image, three of the depth map.

        Returns:
            tuple: Features of the image and of the depth map, shallow first.

        Raises:
            ConfigError: The number of channels is not 6.
        """
        if inputs.shape[1] != 6:
            raise ConfigError(
                f'TwoStreamBackbone: got {inputs.shape[1]} channels; needs 6, image and depth map; '
                'use RGBDDataPreprocessor, and LoadDepth and PackRGBDInputs in the pipeline'
            )
        rgb, depth = inputs.split(3, 1)
        return tuple(self.rgb(rgb)), tuple(self.depth(depth))
