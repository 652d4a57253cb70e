"""Connectors for mmrazor's ``ConfigurableDistiller``: from a record to the input of a loss."""

from mmengine.model import BaseModel
from torch import Tensor, nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.losses.inputs import Levels, as_levels
from mmkd_sod.models.recorders import Recorder
from mmkd_sod.models.task_modules.base import flatten_levels
from mmkd_sod.models.valid_region import Fractions, gather_valid, record_fractions, valid_mask
from mmkd_sod.registry import MODELS


@MODELS.register_module()
class DenseRows(nn.Module):
    """Flatten the maps of a dense head to one row per prediction, for losses on rows.

    For the output of ``GFLHead``, for instance, use ``data_idx=0`` of the record with ``channels``
    the number of classes for ``KDQualityFocalLoss``, and ``data_idx=1`` with ``channels=reg_max +
    1`` for ``KDKLDivLoss``. The order of the rows is level, image, row, column, anchor or side.

    Args:
        channels (int): Values per row.

    Raises:
        ConfigError: ``channels`` is not positive; in ``forward``, the channels of a map are not a
            multiple of it.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        if not isinstance(channels, int) or isinstance(channels, bool) or channels < 1:
            raise ConfigError(
                f'DenseRows: channels={channels!r}; give the number of values per '
                'row, a positive integer'
            )
        self.channels = channels

    def forward(self, maps: Levels) -> Tensor:
        """Flatten.

        Args:
            maps (Tensor | Sequence[Tensor]): (N, A * channels, H, W), or one such map per level.

        Returns:
            Tensor: (P, channels), P the sum of A * N * H * W over the levels.
        """
        maps = as_levels(maps)
        for level in maps:
            if level.dim() != 4 or level.shape[1] % self.channels:
                raise ConfigError(
                    f'DenseRows: channels={self.channels} needs maps (N, A * {self.channels}, H, W)'
                    f', got {tuple(level.shape)}; set channels, or data_idx of the record'
                )
        return flatten_levels(maps, self.channels)

    def extra_repr(self) -> str:
        """Return the arguments for the printed form of the module."""
        return f'channels={self.channels}'


@MODELS.register_module()
class ValidPositions(nn.Module):
    """Gather the positions inside of images, so that a feature loss leaves out the padding.

    Use it for both sides of losses that average over positions, such as mmrazor's ``PKDLoss`` or
    ``L2Loss``; the result is one row of positions per level. Losses with a softmax over the
    positions of each image (``ChannelWiseDivergence``) would get one over the whole batch:
    ``CSKDDistiller(mask_padding=True)`` compares those per image.

    ``DenseDistill`` sets ``fractions`` in each step from the samples' ``img_shape``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fractions: Fractions | None = None
        self._recorders: list[Recorder] = []

    def attach(self, student: BaseModel) -> None:
        """Take the student whose batches are compared."""
        self._recorders = [record_fractions(student)]

    def sizes(self) -> Recorder:
        """Return the recorder of the sizes of images, open during the student's forward."""
        return self._recorders[0]

    def forward(self, maps: Levels) -> list[Tensor]:
        """Gather.

        Args:
            maps (Tensor | Sequence[Tensor]): (N, C, H, W), or one such map per level.

        Returns:
            list[Tensor]: (1, C, 1, P) per level, P the number of positions inside of images.

        Raises:
            ConfigError: It is not used in ``DenseDistill``.
        """
        if self.fractions is None:
            raise ConfigError(
                'ValidPositions got no sizes of images; use it in a distiller of DenseDistill, '
                'which hands them over'
            )
        return [gather_valid(level, valid_mask(self.fractions, level)) for level in as_levels(maps)]
