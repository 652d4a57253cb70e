"""VGG as a backbone of mmseg."""
from mmcv.cnn import VGG as MMCVVGG
from mmengine.model import BaseModule

from mmkd_sod.registry import MODELS


@MODELS.register_module()
class VGG(MMCVVGG, BaseModule):
    """mmcv's VGG, made known to the registry and to ``init_cfg``.

    It returns what leaves the pooling of each stage in ``out_indices``; (1, 2, 3, 4) gives strides
    4, 8, 16, 32 with (128, 256, 512, 512) channels.

    Args:
        depth (int): 11, 13, 16 or 19.
        init_cfg (dict or list[dict], optional): He initialisation by default.
        kwargs: As for :class:`mmcv.cnn.VGG`.
    """

    def __init__(self, depth: int = 16, init_cfg: dict | list | None = None, **kwargs) -> None:
        MMCVVGG.__init__(self, depth, **kwargs)
        # MMCVVGG.__init__ has passed through BaseModule's without this argument.
        self.init_cfg = init_cfg or [
            dict(type='Kaiming', layer='Conv2d'),
            dict(type='Constant', val=1, layer='_BatchNorm')]

    def init_weights(self, pretrained: None = None) -> None:
        """Initialise by ``init_cfg``, as every module of mmengine does."""
        BaseModule.init_weights(self)

    def train(self, mode: bool = True) -> 'VGG':
        """As mmcv's, but returns itself, as torch's modules do."""
        super().train(mode)
        return self
