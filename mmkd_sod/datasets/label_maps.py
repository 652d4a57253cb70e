"""Checks of the label maps of semantic segmentation, as they are stored."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mmkd_sod.errors import DataError
from mmkd_sod.utils.images import open_image

# Maximum number of label maps that are read before training.
SAMPLE = 50


@dataclass
class LabelMaps:
    """What evenly spaced label maps of a data set hold, after mmseg's changes of the values.

    Attributes:
        files (int): Number of label maps that were read.
        pixels (Counter): Number of pixels by value.
        first (dict): First file with each value.
        colour (str): First file in colour; '' if there is none.
        unreadable (str): First file that cannot be read; '' if there is none.
    """

    files: int = 0
    pixels: Counter = field(default_factory=Counter)
    first: dict = field(default_factory=dict)
    colour: str = ''
    unreadable: str = ''

    def share(self, values: Collection[int]) -> float:
        """Return the share of pixels with one of some values."""
        return sum(self.pixels[value] for value in values) / max(sum(self.pixels.values()), 1)

    def fault(self, classes: int, ignored: Collection[int]) -> str:
        """Return why training on the label maps is wrong or meaningless; '' if it is not.

        Args:
            classes (int): Number of classes.
            ignored (Collection[int]): Values that the losses ignore.
        """
        if self.colour:
            return (
                f"label map '{self.colour}' is in colour; it must hold class numbers from 0 to "
                f'{classes - 1} in one channel; convert the colours'
            )
        wrong = sorted(v for v in self.pixels if v not in ignored and not 0 <= v < classes)
        if wrong:
            return (
                f"label map '{self.first[wrong[0]]}' has the value {wrong[0]}"
                + (f' (others up to {wrong[-1]})' if len(wrong) > 1 else '')
                + f'; the {classes} classes are 0 ... {classes - 1}, ignored is '
                f'{", ".join(map(str, sorted(ignored)))}; correct the maps, num_classes or '
                'ignore_index'
            )
        seen = set(self.pixels) - set(ignored)
        if self.pixels and not seen:
            return (
                f"all pixels of {self.files} label maps are ignored, such as '"
                f"{next(iter(self.first.values()))}'; check the values of the maps and "
                'reduce_zero_label'
            )
        if classes == 2 and seen == {0} and 255 in self.pixels:
            return (
                f"label map '{self.first[255]}' has 0 and 255, and no map has class 1; 255 is "
                'ignored, so that nothing is learned; store class 1 as 1'
            )
        return ''


def examine_label_maps(dataset, count: int = SAMPLE) -> LabelMaps:
    """Read evenly spaced label maps of a data set.

    Args:
        dataset (BaseDataset): Its records have ``seg_map_path``, ``label_map`` and
            ``reduce_zero_label``, as those of mmseg; others are not read.
        count (int): Maximum number of label maps.
    """
    found = LabelMaps()
    for i in np.linspace(0, len(dataset) - 1, min(count, len(dataset))).round().astype(int):
        record = dataset.get_data_info(int(i))
        path = record.get('seg_map_path')
        # Saliency masks have their own rules; remote files are read in training only.
        if not isinstance(path, str) or '://' in path or 'mask_rule' in record:
            continue
        try:
            values = np.asarray(open_image(path, 'label map'))
        except DataError:
            found.unreadable = found.unreadable or path
            continue
        found.files += 1
        if values.ndim != 2:
            found.colour = found.colour or path
            continue
        for value, pixels in _labels(values, record).items():
            found.pixels[value] += pixels
            found.first.setdefault(value, path)
    return found


def _labels(values: np.ndarray, record: Mapping) -> Counter:
    """Return the number of pixels by label, after mmseg's changes."""
    if values.dtype == np.uint8:
        bins = np.bincount(values.reshape(-1))
        numbers = np.flatnonzero(bins)
        counts = bins[numbers]
    else:
        numbers, counts = np.unique(values, return_counts=True)
    labels: Counter = Counter()
    label_map = record.get('label_map') or {}
    for number, pixels in zip(numbers.tolist(), counts.tolist(), strict=True):
        label = int(number)
        if record.get('reduce_zero_label'):
            label = 255 if label in (0, 255) else label - 1
        labels[label_map.get(label, label)] += pixels
    return labels


def never_seen(found: LabelMaps, classes: Sequence[str]) -> list[str]:
    """Return the names of the classes that no label map has."""
    return [name for i, name in enumerate(classes) if i not in found.pixels]
