"""Two encoders for two inputs that travel as one tensor."""
from mmengine.model import BaseModule
from torch import Tensor

from mmkd_sod.errors import ConfigError
from mmkd_sod.registry import MODELS


@MODELS.register_module()
class TwoStreamBackbone(BaseModule):
    """An encoder for the image and one of its own for the depth map.

    Args:
        rgb (dict): Backbone of the image: any of mmseg, or of this package.
        depth (dict, optional): Backbone of the depth map, of the same channels and strides; a
            second one like ``rgb`` where absent. No weights are shared.
        init_cfg (dict, optional): mmengine's initialisation config.
    """

    def __init__(self, rgb: dict, depth: dict | None = None, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.rgb = MODELS.build(rgb)
        self.depth = MODELS.build(rgb if depth is None else depth)

    def forward(self, inputs: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Encode both.

        Args:
            inputs (Tensor): (N, 6, H, W): three channels of the image, three of the depth map.

        Returns:
            tuple: The image's features and the depth map's, shallow first.

        Raises:
            ConfigError: There are not six channels.
        """
        if inputs.shape[1] != 6:
            raise ConfigError(
                f'TwoStreamBackbone needs 6 channels, image and depth, got {inputs.shape[1]}; use '
                'RGBDDataPreprocessor, and LoadDepth and PackRGBDInputs in the pipeline')
        rgb, depth = inputs.split(3, 1)
        return tuple(self.rgb(rgb)), tuple(self.depth(depth))
