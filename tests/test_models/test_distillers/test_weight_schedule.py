"""WeightSchedule: a pure function of the epoch or iteration."""

import pytest

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.distillers.weight_schedule import WeightSchedule


def course(count, **settings):
    schedule = WeightSchedule(**settings)
    return [round(schedule(now), 6) for now in range(count)]


@pytest.mark.parametrize(
    'settings, wanted',
    [
        (dict(), [1, 1, 1, 1, 1]),
        (dict(weight=0.5), [0.5] * 5),
        (dict(begin=2), [0, 0, 1, 1, 1]),
        (dict(end=2), [1, 1, 0, 0, 0]),
        (dict(begin=1, end=3, weight=4.0), [0, 4, 4, 0, 0]),
        (dict(warmup=3), [0.25, 0.5, 0.75, 1, 1]),
        (dict(warmup=3, curve='cosine'), [0.146447, 0.5, 0.853553, 1, 1]),
        (dict(end=4, decay=3), [1, 0.75, 0.5, 0.25, 0]),
        (dict(begin=1, end=5, warmup=1, decay=2), [0, 0.5, 1, 0.666667, 0.333333]),
    ],
)
def test_by_hand(settings, wanted):
    assert course(5, **settings) == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize('curve', ['linear', 'cosine'])
@pytest.mark.parametrize('warmup, decay', [(0, 0), (3, 0), (0, 4), (5, 5)])
def test_on_inside_and_off_outside(curve, warmup, decay):
    found = course(20, begin=4, end=14, warmup=warmup, decay=decay, curve=curve)
    assert all(0 < weight <= 1 for weight in found[4:14])
    assert not any(found[:4] + found[14:])
    middle = found[4 + warmup : 14 - decay]
    assert middle == [1] * len(middle)


def test_constant():
    assert WeightSchedule(weight=0.3).constant and WeightSchedule(weight=0.0, begin=3).constant
    assert not any(
        WeightSchedule(**settings).constant
        for settings in (dict(begin=1), dict(end=5), dict(warmup=1))
    )


@pytest.mark.parametrize(
    'settings, says',
    [
        (dict(weight=-1.0), 'weight=-1.0'),
        (dict(weight=float('nan')), 'weight=nan'),
        (dict(weight=True), 'weight=True'),
        (dict(begin=-1), 'begin=-1'),
        (dict(end=2.5), 'end=2.5'),
        (dict(warmup='2'), "warmup='2'"),
        (dict(curve='step'), "'linear', 'cosine'"),
        (dict(decay=2), 'set end'),
        (dict(begin=3, end=3), 'leave no room'),
        (dict(end=4, warmup=3, decay=2), 'leave no room'),
    ],
)
def test_refuses(settings, says):
    with pytest.raises(ConfigError, match=says):
        WeightSchedule(**settings)
