"""Names and directions of logged scores, and means and gains over seeds."""

import math
import statistics
from dataclasses import dataclass

_SIZES = dict(s='small', m='medium', l='large')
_COCO = {'': 'AP', '50': 'AP50', '75': 'AP75', 's': 'AP small', 'm': 'AP medium', 'l': 'AP large'}
_SOD = dict(
    MAE='MAE',
    Smeasure='S',
    wFmeasure='weighted F',
    maxFm='max F',
    meanFm='mean F',
    adpFm='adaptive F',
    maxEm='max E',
    meanEm='mean E',
    adpEm='adaptive E',
)
# Main scores in order of preference, if the config has no `save_best`.
_HEADLINES = ('coco/bbox_mAP', 'mIoU', 'pascal_voc/mAP', 'sod/Smeasure', 'mDice')
_LESS_IS_BETTER = ('mae', 'loss', 'error', 'rmse')


@dataclass(frozen=True)
class Metric:
    """Display of a score.

    Attributes:
        key (str): Logged name.
        name (str): Displayed name.
        scale (float): Factor from logged to displayed values.
        digits (int): Number of decimals.
        less_is_better (bool): Whether lower is better.
        group (str | None): ``'object size'``, ``'class'`` or ``'data set'`` for scores of a subset
            of the data.
        member (str | None): Name of the subset.
    """

    key: str
    name: str
    scale: float = 1.0
    digits: int = 3
    less_is_better: bool = False
    group: str | None = None
    member: str | None = None

    def show(self, value: float, sign: bool = False) -> str:
        """Format a logged value, with a typographic minus sign; NaN and infinity as a dash."""
        if value is None or not math.isfinite(value):
            return '–'
        text = f'{value * self.scale:{"+" if sign else ""}.{self.digits}f}'
        if not float(text):
            text = text.lstrip('+-')
        return text.replace('-', '−')

    def better(self, gain: float) -> bool:
        """Return whether a difference of logged values is an improvement."""
        return gain < 0 if self.less_is_better else gain > 0


def describe(key: str) -> Metric:
    """Return how a logged score is displayed.

    COCO's scores are displayed in per cent, as mmseg's are logged; those of saliency in [0, 1].
    Unknown scores keep their name and value.
    """
    less = any(word in key.rsplit('/', 1)[-1].lower() for word in _LESS_IS_BETTER)
    if '/class/' in key:
        name, member = key.split('/class/')
        return Metric(key, name, 1.0, 2, less, 'class', member)
    if key.startswith('coco/'):
        kind, _, rest = key[5:].partition('_mAP')
        rest = rest.strip('_')
        if key.endswith('_precision'):
            member = key[5 : -len('_precision')]
            return Metric(key, 'AP', 100.0, 1, False, 'class', member)
        prefix = '' if kind == 'bbox' else f'{kind} '
        if '_mAP' in key and rest in _COCO:
            size = _SIZES.get(rest)
            return Metric(
                key, prefix + _COCO[rest], 100.0, 1, False, 'object size' if size else None, size
            )
        return Metric(key, key[5:], 100.0, 1, less)
    if key in ('aAcc', 'mIoU', 'mAcc', 'mDice', 'mFscore', 'mPrecision', 'mRecall'):
        return Metric(key, key, 1.0, 2)
    if key.startswith('sod/'):
        *parts, name = key[4:].split('/')
        return Metric(
            key,
            _SOD.get(name, name),
            1.0,
            4,
            less,
            'data set' if parts else None,
            '/'.join(parts) or None,
        )
    if key.startswith('pascal_voc/'):
        return Metric(key, key.split('/')[1], 100.0, 1)
    return Metric(key, key, 1.0, 4, less)


def headline(keys, save_best: str | None = None) -> str | None:
    """Return the main score: the given ``save_best``, a well-known score, or the first one."""
    whole = [key for key in keys if describe(key).group is None]
    for key in (save_best, *_HEADLINES):
        if key in whole:
            return key
    return whole[0] if whole else None


def mean(values) -> float:
    """Return the mean, or NaN without values."""
    values = list(values)
    return statistics.fmean(values) if values else math.nan


def std(values) -> float | None:
    """Return the sample standard deviation, or None for fewer than two values."""
    values = list(values)
    return statistics.stdev(values) if len(values) > 1 else None


def with_std(metric: Metric, values, sign: bool = False) -> str:
    """Format mean ± sample standard deviation, or the mean of fewer than two values."""
    values = list(values)
    text, deviation = metric.show(mean(values), sign), std(values)
    return text if deviation is None else f'{text} ± {metric.show(deviation)}'


def gains(better: dict, base: dict) -> tuple[list[float], bool]:
    """Return the differences of a score between two variants.

    Args:
        better (dict): Values of one variant by seed, ``{seed: [values]}``.
        base (dict): Values of the other variant.

    Returns:
        tuple: The differences for each common seed and True; without common known seeds the
        difference of the means and False.
    """
    shared = [seed for seed in better if seed in base and seed is not None]
    if shared:
        return [mean(better[seed]) - mean(base[seed]) for seed in shared], True
    ours, theirs = (
        [value for values in table.values() for value in values] for table in (better, base)
    )
    return ([mean(ours) - mean(theirs)] if ours and theirs else []), False
