"""Folding a frozen teacher's BN layers into its convolutions."""

from collections.abc import Callable

from mmcv.cnn.utils import fuse_conv_bn
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmkd_sod.errors import ConfigError


def fold_batch_norms(teacher: nn.Module) -> Callable[[], None]:
    """Fold BN layers into the convolutions before them (mmcv's ``fuse_conv_bn``).

    mmcv pairs a BN layer with the convolution defined before it, which is wrong for a model that
    shares a convolution or runs its layers in another order, so the outputs must be compared.

    Args:
        teacher (nn.Module): A frozen network in eval mode.

    Returns:
        Callable: Undoes it.

    Raises:
        ConfigError: A hook reads a convolution or BN layer, whose output would change.
    """
    modules = list(teacher.modules())
    if any(
        m._forward_hooks or m._forward_pre_hooks
        for m in modules
        if isinstance(m, (_BatchNorm, nn.Conv2d))
    ):
        raise ConfigError('a distiller reads a convolution or BN layer on its own')
    # Modules stay the objects they are, since distillers hold on to them.
    backup = [(m, dict(m._modules), dict(m._parameters)) for m in modules]

    def undo() -> None:
        for module, children, parameters in backup:
            module._modules.update(children)
            module._parameters.update(parameters)

    try:
        fuse_conv_bn(teacher)
    except Exception:
        undo()
        raise
    teacher.eval()  # returns None in some detectors of mmdet (LD, LAD)
    teacher.requires_grad_(False)
    return undo
