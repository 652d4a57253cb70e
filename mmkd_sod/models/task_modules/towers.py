"""The towers of a detection head: where they are cut, and how their tail runs on other features."""
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from mmcv.cnn import ConvModule
from torch import Tensor, nn

Feats = Mapping[str, Sequence[Tensor]]


class Feed(nn.Module):
    """Stands in for the first blocks of a tower: ignores its input, gives the next feature."""

    def __init__(self, feats: Sequence[Tensor]) -> None:
        super().__init__()
        self._feats = iter(feats)

    def forward(self, _: Tensor) -> Tensor:
        return next(self._feats)


def _container(like: nn.Module, blocks: Sequence[nn.Module]) -> nn.Module:
    """Blocks in a container of the kind that holds the tower."""
    return nn.Sequential(*blocks) if isinstance(like, nn.Sequential) else nn.ModuleList(blocks)


def block_channels(block: nn.Module) -> int:
    """Channels that a conv block gives out; those of its last part where it has several."""
    if not hasattr(block, 'out_channels'):
        block = [m for m in block.modules() if isinstance(m, ConvModule)][-1]
    return block.out_channels


class TowerReader:
    """Cuts the towers of a head behind some number of their blocks.

    The features that pass the cut are named streams: one a tower, each a list of one feature a
    level. Towers whose blocks are shared by all levels and towers with blocks of their own for
    every level are both understood.

    Args:
        head (nn.Module): The head.
    """

    # The attribute names of the classification and regression towers, lists of conv blocks.
    towers: tuple[str, ...] = ('cls_convs', 'reg_convs')

    def __init__(self, head: nn.Module) -> None:
        self.head = head

    def _levels(self, tower: str) -> list[nn.Module] | None:
        """The towers of the levels, where each level has its own."""
        blocks = list(getattr(self.head, tower))
        nested = blocks and isinstance(blocks[0], (nn.ModuleList, nn.Sequential))
        return blocks if nested else None

    def _blocks(self, tower: str) -> list[nn.Module]:
        """The blocks of a tower; those of the first level where each level has its own."""
        levels = self._levels(tower)
        return list(getattr(self.head, tower) if levels is None else levels[0])

    @property
    def depth(self) -> int:
        """Number of blocks in each tower; that of the shorter one where they differ."""
        return min(len(self._blocks(tower)) for tower in self.towers)

    def streams(self, idx: int) -> tuple[str, ...]:
        """Names of the features that pass a cut behind ``idx`` blocks."""
        return self.towers

    def channels(self, idx: int) -> dict[str, int]:
        """Channels of each stream behind ``idx`` blocks (0: the towers' input)."""
        if idx == 0:
            return dict.fromkeys(self.streams(0), self.head.in_channels)
        return {tower: block_channels(self._blocks(tower)[idx - 1]) for tower in self.towers}

    def ends_in_relu(self, idx: int) -> bool:
        """Whether the tower feature behind ``idx`` blocks is the output of a ReLU."""
        if idx == 0:
            return False
        block = self._blocks(self.towers[0])[idx - 1]
        if isinstance(block, ConvModule):
            return block.with_activation and isinstance(block.activate, nn.ReLU)
        return any(isinstance(m, nn.ReLU) for m in block.modules())

    def tower_taps(self, idx: int) -> dict[str, tuple[nn.Module, str]]:
        """Recorder sources of the streams behind ``idx`` > 0 blocks; see :meth:`collect`."""
        taps = {}
        for tower in self.towers:
            levels = self._levels(tower)
            if levels is None:
                taps[tower] = (getattr(self.head, tower)[idx - 1], 'output')
            else:
                taps.update({f'{tower}/{level}': (blocks[idx - 1], 'output')
                             for level, blocks in enumerate(levels)})
        return taps

    def collect(self, records: Mapping[str, list]) -> dict[str, list]:
        """Streams from what a recorder with :meth:`tower_taps` kept: one item a level."""
        found: dict[str, list] = {}
        for name, kept in records.items():
            found.setdefault(name.split('/')[0], []).extend(kept)
        return found

    def _cut(self, tower: str, feats: Feats, idx: int) -> nn.Module:
        """A tower without its first ``idx`` blocks, fed with features instead."""
        blocks, levels = getattr(self.head, tower), self._levels(tower)
        if levels is None:
            return _container(blocks, [Feed(feats[tower]), *blocks[idx:]])
        return nn.ModuleList(
            _container(own, [Feed([feat]), *own[idx:]])
            for own, feat in zip(levels, feats[tower], strict=True))

    @contextmanager
    def _towers_cut(self, feats: Feats, idx: int) -> Iterator[None]:
        originals = {tower: getattr(self.head, tower) for tower in self.towers}
        try:
            for tower in self.towers:
                setattr(self.head, tower, self._cut(tower, feats, idx))
            yield
        finally:
            for tower, blocks in originals.items():
                setattr(self.head, tower, blocks)

    def tail_input(self, feats: Feats, idx: int) -> tuple[Tensor, ...]:
        """What the head's forward is called with when its towers ignore their input."""
        return tuple(feats[self.streams(idx)[0]])

    def run_tail(self, feats: Feats, idx: int):
        """Run the head on given tower features, from block ``idx`` on.

        The head's own forward runs, with its towers replaced for the moment by the features and the
        remaining blocks, so scales, clamps and everything else a head does are its own.

        Args:
            feats (dict): Stream name to the features of all levels.
            idx (int): How many blocks the features already passed.

        Returns:
            What the head's forward gives.
        """
        with self._towers_cut(feats, idx):
            return self.head.forward(self.tail_input(feats, idx))
