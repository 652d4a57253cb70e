"""What stands between a recorder and a loss in mmrazor's ``ConfigurableDistiller``."""
from torch import Tensor, nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.losses.levels import Levels, as_levels
from mmkd_sod.models.task_modules.base import flatten_levels
from mmkd_sod.registry import MODELS


@MODELS.register_module()
class DenseRows(nn.Module):
    """Rows, one a prediction, from the maps of a dense head, for losses such as ``KDKLDivLoss``.

    For instance the output of ``GFLHead``: ``data_idx=0`` of the record, with ``channels`` the
    number of classes, for ``KDQualityFocalLoss``; ``data_idx=1``, with ``channels=reg_max + 1``,
    for ``KDKLDivLoss``. Rows stand in the order level, image, row, column, anchor or side.

    Args:
        channels (int): Values a row.

    Raises:
        ConfigError: ``channels`` is not above 0; later, a map's channels are no multiple of it.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        if not isinstance(channels, int) or isinstance(channels, bool) or channels < 1:
            raise ConfigError(f'DenseRows: channels={channels!r}; give the number of values a row')
        self.channels = channels

    def forward(self, maps: Levels) -> Tensor:
        """Flatten.

        Args:
            maps (Tensor | Sequence[Tensor]): (N, A * channels, H, W), one or one a level.

        Returns:
            Tensor: (P, channels), P the sum of A * N * H * W over the levels.
        """
        maps = as_levels(maps)
        for level in maps:
            if level.dim() != 4 or level.shape[1] % self.channels:
                raise ConfigError(
                    f'DenseRows: channels={self.channels} needs maps (N, A * {self.channels}, H, W)'
                    f', got {tuple(level.shape)}; set channels, or data_idx of the record')
        return flatten_levels(maps, self.channels)

    def extra_repr(self) -> str:
        """Arguments in the module's printed form."""
        return f'channels={self.channels}'
