"""Reading the normalisation of data preprocessors."""

from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class Normalisation:
    """Normalisation of pixel values by a data preprocessor.

    Attributes:
        mean (tuple[float], optional): Mean per channel in the network's channel order; None without
            normalisation.
        std (tuple[float], optional): Standard deviation per channel, in the same order.
        swap (bool): Whether images, loaded as BGR, are converted to RGB.
    """

    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    swap: bool


def normalisation_of(preprocessor: nn.Module) -> Normalisation:
    """Return the normalisation of a preprocessor of mmengine, mmdet, mmseg or this package.

    Args:
        preprocessor (nn.Module): Has the buffers ``mean`` and ``std`` if it normalises, and the
            attribute ``_channel_conversion`` (mmengine) or ``channel_conversion`` (mmseg).
    """
    buffers, attributes = dict(preprocessor.named_buffers()), vars(preprocessor)

    def values(name: str) -> tuple[float, ...] | None:
        value = buffers.get(name)
        return tuple(value.flatten().tolist()) if isinstance(value, Tensor) else None

    swap = attributes.get('_channel_conversion', attributes.get('channel_conversion', False))
    return Normalisation(values('mean'), values('std'), bool(swap))
