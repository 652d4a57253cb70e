"""What a logged score is called, which way is better, and means and gains over seeds."""
import math
import statistics
from dataclasses import dataclass

_SIZES = dict(s='small', m='medium', l='large')
_COCO = {'': 'AP', '50': 'AP50', '75': 'AP75', 's': 'AP small', 'm': 'AP medium', 'l': 'AP large'}
_SOD = dict(MAE='MAE', Smeasure='S', wFmeasure='weighted F', maxFm='max F', meanFm='mean F',
            adpFm='adaptive F', maxEm='max E', meanEm='mean E', adpEm='adaptive E')
# Which score heads a report when the config names none in `save_best`.
_HEADLINES = ('coco/bbox_mAP', 'mIoU', 'pascal_voc/mAP', 'sod/Smeasure', 'mDice')
_LESS_IS_BETTER = ('mae', 'loss', 'error', 'rmse')


@dataclass(frozen=True)
class Metric:
    """A score as it is shown.

    Attributes:
        key (str): Its name in the log.
        name (str): Its name on the page.
        scale (float): Factor from logged to shown.
        digits (int): Decimals shown.
        less_is_better (bool): Direction.
        group (str | None): ``'object size'``, ``'class'`` or ``'data set'`` where the score is of a
            part of the data.
        member (str | None): Which part.
    """
    key: str
    name: str
    scale: float = 1.
    digits: int = 3
    less_is_better: bool = False
    group: str | None = None
    member: str | None = None

    def show(self, value: float, sign: bool = False) -> str:
        """A logged value as text; a true minus sign, a dash where it is no number."""
        if value is None or not math.isfinite(value):
            return '–'
        text = f'{value * self.scale:{"+" if sign else ""}.{self.digits}f}'
        if not float(text):
            text = text.lstrip('+-')
        return text.replace('-', '−')

    def better(self, gain: float) -> bool:
        """Whether a difference of logged values is an improvement."""
        return gain < 0 if self.less_is_better else gain > 0


def describe(key: str) -> Metric:
    """How a logged score is shown.

    COCO's are shown in per cent, mmseg's are logged so, saliency's stay in [0, 1]; what is not
    known keeps its name and value.
    """
    less = any(word in key.rsplit('/', 1)[-1].lower() for word in _LESS_IS_BETTER)
    if '/class/' in key:
        name, member = key.split('/class/')
        return Metric(key, name, 1., 2, less, 'class', member)
    if key.startswith('coco/'):
        kind, _, rest = key[5:].partition('_mAP')
        rest = rest.strip('_')
        if key.endswith('_precision'):
            member = key[5:-len('_precision')]
            return Metric(key, 'AP', 100., 1, False, 'class', member)
        prefix = '' if kind == 'bbox' else f'{kind} '
        if '_mAP' in key and rest in _COCO:
            size = _SIZES.get(rest)
            return Metric(key, prefix + _COCO[rest], 100., 1, False, 'object size' if size else
                          None, size)
        return Metric(key, key[5:], 100., 1, less)
    if key in ('aAcc', 'mIoU', 'mAcc', 'mDice', 'mFscore', 'mPrecision', 'mRecall'):
        return Metric(key, key, 1., 2)
    if key.startswith('sod/'):
        *parts, name = key[4:].split('/')
        return Metric(key, _SOD.get(name, name), 1., 4, less, 'data set' if parts else None,
                      '/'.join(parts) or None)
    if key.startswith('pascal_voc/'):
        return Metric(key, key.split('/')[1], 100., 1)
    return Metric(key, key, 1., 4, less)


def headline(keys, save_best: str | None = None) -> str | None:
    """The score that heads a report: the config's ``save_best``, a well-known one, the first."""
    whole = [key for key in keys if describe(key).group is None]
    for key in (save_best, *_HEADLINES):
        if key in whole:
            return key
    return whole[0] if whole else None


def mean(values) -> float:
    """Mean of the numbers, NaN where there are none."""
    values = list(values)
    return statistics.fmean(values) if values else math.nan


def spread(values) -> float | None:
    """Sample standard deviation; None of fewer than two values."""
    values = list(values)
    return statistics.stdev(values) if len(values) > 1 else None


def with_spread(metric: Metric, values, sign: bool = False) -> str:
    """Mean ± standard deviation as text."""
    values = list(values)
    deviation = spread(values)
    text = metric.show(mean(values), sign)
    return text if deviation is None else f'{text} ± {metric.show(deviation)}'


def gains(better: dict, base: dict) -> tuple[list[float], bool]:
    """Differences between two variants of one score.

    Args:
        better (dict): Values by seed of the one, ``{seed: [values]}``.
        base (dict): Those of the other.

    Returns:
        tuple: A difference for each seed that both have, and True; where they share none, or a
        seed is unknown, the difference of the means and False.
    """
    shared = [seed for seed in better if seed in base and seed is not None]
    if shared:
        return [mean(better[seed]) - mean(base[seed]) for seed in shared], True
    ours, theirs = ([value for values in table.values() for value in values]
                    for table in (better, base))
    return ([mean(ours) - mean(theirs)] if ours and theirs else []), False
