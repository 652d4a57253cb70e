"""Towers of a detection head: splitting them, and running the head on other tower features."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from mmcv.cnn import ConvModule
from torch import Tensor, nn

Feats = Mapping[str, Sequence[Tensor]]


class Feed(nn.Module):
    """Replaces the first blocks of a tower: ignores its input and returns the next given feature.

    Args:
        feats (Sequence[Tensor]): One feature per call.
    """

    def __init__(self, feats: Sequence[Tensor]) -> None:
        super().__init__()
        self._feats = iter(feats)

    def forward(self, _: Tensor) -> Tensor:
        """Return the next feature."""
        return next(self._feats)


def _container(like: nn.Module, blocks: Sequence[nn.Module]) -> nn.Module:
    """Put blocks into a container of the tower's type."""
    return nn.Sequential(*blocks) if isinstance(like, nn.Sequential) else nn.ModuleList(blocks)


def block_channels(block: nn.Module) -> int:
    """Return the output channels of a block, those of its last ``ConvModule`` if it has any."""
    modules = [m for m in block.modules() if isinstance(m, ConvModule)] or [block]
    return modules[-1].out_channels


class TowerReader:
    """Splits the towers of a head after a given number of blocks.

    The features at the split are called streams: one stream per tower, each a list of one feature
    per level. Towers may share their blocks between levels or have separate blocks per level.

    Args:
        head (nn.Module): The head.
    """

    # Attributes of the head that hold its classification and regression towers, lists of blocks.
    towers: tuple[str, ...] = ('cls_convs', 'reg_convs')

    def __init__(self, head: nn.Module) -> None:
        self.head: Any = head

    def _levels(self, tower: str) -> list[Any] | None:
        """Return the towers of the levels, or None if the levels share one tower."""
        blocks = list(self.head.get_submodule(tower))
        nested = blocks and isinstance(blocks[0], (nn.ModuleList, nn.Sequential))
        return blocks if nested else None

    def _blocks(self, tower: str) -> list[nn.Module]:
        """Return the blocks of a tower, those of the first level if levels have separate ones."""
        levels = self._levels(tower)
        return list(self.head.get_submodule(tower) if levels is None else levels[0])

    @property
    def depth(self) -> int:
        """Number of blocks per tower, of the shorter tower if they differ."""
        return min(len(self._blocks(tower)) for tower in self.towers)

    def streams(self, idx: int) -> tuple[str, ...]:
        """Return the names of the streams after ``idx`` blocks."""
        return self.towers

    def channels(self, idx: int) -> dict[str, int]:
        """Return the channels of each stream after ``idx`` blocks (0: the input of the towers)."""
        if idx == 0:
            return dict.fromkeys(self.streams(0), self.head.in_channels)
        return {tower: block_channels(self._blocks(tower)[idx - 1]) for tower in self.towers}

    def ends_in_relu(self, idx: int) -> bool:
        """Return whether the tower features after ``idx`` blocks are outputs of a ReLU."""
        if idx == 0:
            return False
        block = self._blocks(self.towers[0])[idx - 1]
        if isinstance(block, ConvModule):
            return block.with_activation and isinstance(block.activate, nn.ReLU)
        return any(isinstance(m, nn.ReLU) for m in block.modules())

    def tower_sources(self, idx: int) -> dict[str, tuple[nn.Module, str]]:
        """Return what a recorder records to get the streams after ``idx`` > 0 blocks.

        Returns:
            dict: Name to (module, 'output'); ``collect`` merges the records into streams.
        """
        sources = {}
        for tower in self.towers:
            levels = self._levels(tower)
            if levels is None:
                sources[tower] = (self._blocks(tower)[idx - 1], 'output')
            else:
                sources.update(
                    {
                        f'{tower}/{level}': (blocks[idx - 1], 'output')
                        for level, blocks in enumerate(levels)
                    }
                )
        return sources

    def collect(self, records: Mapping[str, list]) -> dict[str, list]:
        """Return the streams, one item per level, from records of ``tower_sources``."""
        streams: dict[str, list] = {}
        for name, kept in records.items():
            streams.setdefault(name.split('/')[0], []).extend(kept)
        return streams

    def _replacement(self, tower: str, feats: Feats, idx: int) -> nn.Module:
        """Return a tower whose first ``idx`` blocks are replaced by features."""
        blocks, levels = self.head.get_submodule(tower), self._levels(tower)
        if levels is None:
            return _container(blocks, [Feed(feats[tower]), *blocks[idx:]])
        return nn.ModuleList(
            _container(own, [Feed([feat]), *own[idx:]])
            for own, feat in zip(levels, feats[tower], strict=True)
        )

    @contextmanager
    def _replaced_towers(self, feats: Feats, idx: int) -> Iterator[None]:
        originals = {tower: self.head.get_submodule(tower) for tower in self.towers}
        try:
            for tower in self.towers:
                setattr(self.head, tower, self._replacement(tower, feats, idx))
            yield
        finally:
            for tower, blocks in originals.items():
                setattr(self.head, tower, blocks)

    def tail_input(self, feats: Feats, idx: int) -> tuple[Tensor, ...]:
        """Return an input for the head's forward while its towers ignore their input."""
        return tuple(feats[self.streams(idx)[0]])

    def run_tail(self, feats: Feats, idx: int):
        """Run the head on given tower features, from block ``idx`` on.

        The head's own forward runs with its towers temporarily replaced by the features and the
        remaining blocks, so that scales, clamps and all other steps are the head's own.

        Args:
            feats (dict): Stream name to the features of all levels.
            idx (int): Number of blocks that the features have already passed.

        Returns:
            Outputs of the head's forward.
        """
        with self._replaced_towers(feats, idx):
            return self.head.forward(self.tail_input(feats, idx))
