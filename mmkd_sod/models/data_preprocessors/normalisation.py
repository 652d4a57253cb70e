"""Reading the normalisation of data preprocessors."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mmkd_sod.errors import ConfigError


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


class Renormalise(nn.Module):
    """Turns images normalised by one preprocessor into those of another, on their device.

    Padding, which is 0 after normalisation, becomes the first one's mean colour.

    Args:
        source (Normalisation): Of the images that come in.
        target (Normalisation): Of the images that go out.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, source: Normalisation, target: Normalisation) -> None:
        super().__init__()
        self.flip = source.swap != target.swap
        sizes = {len(x) for n in (source, target) for x in (n.mean, n.std) if x is not None}
        if sizes - {1, 3}:
            raise ConfigError(
                f'DenseDistill: teacher_input.normalise=True converts images of 1 or 3 channels, '
                f'the preprocessors of student and teacher have {sorted(sizes)}; use '
                'teacher_input.view'
            )
        mean, std = (
            torch.tensor(values or (fallback,), dtype=torch.float64)
            for values, fallback in ((source.mean, 0.0), (source.std, 1.0))
        )
        if self.flip:
            mean, std = mean.flip(0), std.flip(0)
        other_mean, other_std = (
            torch.tensor(values or (fallback,), dtype=torch.float64)
            for values, fallback in ((target.mean, 0.0), (target.std, 1.0))
        )
        self.register_buffer('scale', (std / other_std).float().view(-1, 1, 1))
        self.register_buffer('shift', ((mean - other_mean) / other_std).float().view(-1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Return the images (N, C, H, W) in the other normalisation."""
        images = images.flip(1) if self.flip else images
        return torch.addcmul(self.shift, images, self.scale)
