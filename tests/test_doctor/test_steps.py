"""Time, memory and estimated end of the run."""

from types import SimpleNamespace

import pytest

from mmkd_sod.doctor.context import Context
from mmkd_sod.doctor.steps import peak_memory, validations


def test_eta_is_steps_times_time(section):
    found = section('steps').data
    assert found['steps'] == 2 and found['timed_steps'] == 1
    assert found['train_seconds'] == pytest.approx(2 * found['step_seconds'])
    assert found['validations'] == 1
    assert found['eta_seconds'] == pytest.approx(found['train_seconds'] + found['val_seconds'])
    assert found['loss_after'] > 0


def test_memory_of_the_process():
    assert 2**27 < peak_memory('cpu') < 2**40


@pytest.mark.parametrize(
    'loop, wanted',
    [
        (dict(val_interval=6, max_epochs=18), 3),
        (dict(max_epochs=18), 0),
        (dict(val_interval=20, max_epochs=10), 0),
    ],
)
def test_validations(loop, wanted):
    context = Context(None, val_set=[0], runner=SimpleNamespace(train_loop=SimpleNamespace(**loop)))
    assert validations(context) == wanted
    context.val_set = None
    assert validations(context) == 0
