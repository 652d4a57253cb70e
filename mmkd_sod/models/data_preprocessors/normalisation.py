"""Reading how any data preprocessor normalises images."""
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class Normalisation:
    """What a data preprocessor does to pixel values.

    Attributes:
        mean (tuple[float], optional): Per channel, in the order that the network sees; None where
            nothing is subtracted.
        std (tuple[float], optional): Per channel.
        swap (bool): Whether images, loaded as BGR, are converted to RGB.
    """
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    swap: bool


def normalisation_of(preprocessor: nn.Module) -> Normalisation:
    """Read the normalisation of a preprocessor of mmengine, mmdet, mmseg or this package.

    Args:
        preprocessor (nn.Module): With the buffers ``mean`` and ``std`` where it normalises, and the
            attribute ``_channel_conversion`` (mmengine) or ``channel_conversion`` (mmseg).
    """
    buffers, attributes = dict(preprocessor.named_buffers()), vars(preprocessor)

    def values(name: str) -> tuple[float, ...] | None:
        value = buffers.get(name)
        return tuple(value.flatten().tolist()) if isinstance(value, Tensor) else None

    swap = attributes.get('_channel_conversion', attributes.get('channel_conversion', False))
    return Normalisation(values('mean'), values('std'), bool(swap))
