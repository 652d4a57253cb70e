"""VGG backbone."""

from mmcv.cnn import VGG as MMCVVGG
from mmengine.model import BaseModule

from mmkd_sod.registry import MODELS


@MODELS.register_module()
class VGG(MMCVVGG, BaseModule):
    """mmcv's VGG as a registered module with ``init_cfg``.

    Returns the output of the pooling of each stage in ``out_indices``; (1, 2, 3, 4) has strides 4,
    8, 16, 32 and (128, 256, 512, 512) channels.

    Args:
        depth (int): 11, 13, 16 or 19.
        init_cfg (dict or list[dict], optional): Default: He initialisation.
        kwargs: Arguments of ``mmcv.cnn.VGG``.
    """

    def __init__(self, depth: int = 16, init_cfg: dict | list | None = None, **kwargs) -> None:
        MMCVVGG.__init__(self, depth, **kwargs)
        # MMCVVGG.__init__ has called BaseModule.__init__ without this argument.
        self.init_cfg = init_cfg or [
            dict(type='Kaiming', layer='Conv2d'),
            dict(type='Constant', val=1, layer='_BatchNorm'),
        ]

    def init_weights(self, pretrained: None = None) -> None:
        """Initialise the weights by ``init_cfg``."""
        BaseModule.init_weights(self)

    def train(self, mode: bool = True) -> 'VGG':
        """Set the training mode and return the module, which mmcv's method does not."""
        super().train(mode)
        return self
