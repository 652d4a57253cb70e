"""Deciding once per folder how its depth maps are read."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from mmengine.logging import print_log

from mmkd_sod.errors import DataError
from mmkd_sod.utils.images import load_depth, scale_depth

# Maximum number of depth maps of a folder that are read before the decision.
SAMPLE = 24
# Full scales: 10 bits, 12 bits, 10 m in millimetres, 16 bits; and of floating maps, in metres or
# millimetres.
_SCALES = {
    '16 bits': (255, 1023, 4095, 10000, 65535),
    'floating': (1, 10, 100, 255, 1000, 10000, 65535),
}
# Often the value of pixels without a measurement.
_NONE = 65535
# Maps whose values in [0, 1] spread less are nearly constant.
FLAT = 0.05
_REMEDY = 'set max_value, unit or stretch=True of LoadDepth'


@dataclass(frozen=True)
class DepthRule:
    """How to read the depth maps of a folder.

    Attributes:
        kind (str): ``'8 bits'``, ``'16 bits'`` or ``'floating'``.
        scale (float): Value that becomes 1.
        none (int, optional): Value of pixels without a measurement, which become 0.
        fault (str): Why the result would be of no use; '' if it is of use.
    """

    kind: str
    scale: float
    none: int | None = None
    fault: str = ''

    def read(self, path) -> np.ndarray:
        """Return a depth map, (H, W), float32, in [0, 1].

        Raises:
            DataError: The map is of another kind or range than the others, or all are nearly
                constant.
        """
        if self.fault:
            raise DataError(self.fault)
        depth, kind = load_depth(path)
        if kind != self.kind:
            raise DataError(
                f"depth map '{path}' has {kind}, the others have {self.kind}; convert it, or "
                f'{_REMEDY}'
            )
        if self.none is not None:
            depth[depth == self.none] = 0
        if (depth > 1.01 * self.scale).mean() > 0.01:
            raise DataError(
                f"depth map '{path}' reaches {depth.max():g}, the others have a full scale "
                f'of {self.scale:g}; {_REMEDY}'
            )
        return scale_depth(depth, self.scale)


def spread(depth: np.ndarray) -> float:
    """Return the range of a map in [0, 1] without the outermost percent on either side."""
    low, high = np.percentile(depth, (1, 99))
    return float(high - low)


def decide_depth(paths: Sequence[str], name: str) -> DepthRule | None:
    """Decide how the depth maps of a folder are read, from evenly spaced samples, and log it.

    Args:
        paths (Sequence[str]): Depth maps, at least one.
        name (str): Name of the data set, for messages.

    Returns:
        DepthRule: The rule; None if none of the maps can be read, which is reported when they are
        needed.

    Raises:
        DataError: Maps differ in their number of bits.
    """
    chosen = np.linspace(0, len(paths) - 1, min(SAMPLE, len(paths))).round().astype(int)
    maps: list[tuple[str, np.ndarray, str]] = []
    for path in (paths[i] for i in chosen):
        try:
            depth, kind = load_depth(path)
        except DataError:
            continue
        if maps and kind != maps[0][2]:
            raise DataError(
                f"{name}: depth map '{path}' has {kind}, '{maps[0][0]}' {maps[0][2]}; convert one "
                'of them'
            )
        # Every fourth pixel is enough for the range and keeps little in memory.
        maps.append((path, depth[::4, ::4], kind))
    if not maps:
        return None
    kind = maps[0][2]
    none = None
    tops = [depth[depth < _NONE].max(initial=0) for _, depth, _ in maps]
    top = float(max(tops))
    if kind == '16 bits' and any((depth == _NONE).any() for _, depth, _ in maps):
        # A gap below the highest value: it is not a distance.
        none, top = (_NONE, top) if 0 < top <= 32767 else (None, float(_NONE))
    scale = 255.0
    if kind != '8 bits':
        scale = float(next((s for s in _SCALES[kind] if top <= s), top))
    spreads = [
        spread(scale_depth(np.where(depth == none, 0, depth), scale)) for _, depth, _ in maps
    ]
    fault = ''
    if max(spreads) < FLAT:
        fault = (
            f"{name}: all depth maps are nearly constant, such as '{maps[0][0]}' ({kind}, values "
            f'{maps[0][1].min():g} to {tops[0]:g} of {scale:g}); {_REMEDY}'
        )
    rule = DepthRule(kind, scale, none, fault)
    print_log(
        f'{name}: depth maps have {kind}, values up to {top:g} in {len(maps)} of {len(paths)}; '
        f'{scale:g} becomes 1'
        + (f', {none} is without a measurement and becomes 0' if none else '')
        + '; set max_value, unit or invert of LoadDepth to change this',
        logger='current',
    )
    return rule
