"""Connectors for mmrazor's ``ConfigurableDistiller``: from a record to the input of a loss."""

from torch import Tensor, nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.losses.inputs import Levels, as_levels
from mmkd_sod.models.task_modules.base import flatten_levels
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
