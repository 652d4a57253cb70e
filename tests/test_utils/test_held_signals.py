"""Signals are delayed until a block ends, as while writing a checkpoint."""

import os
import signal
import threading

import pytest
from mmengine.config import config
from mmengine.hooks import Hook
from yapf.yapflib import yapf_api

from mmkd_sod.utils.checkpoint_files import is_complete, latest_checkpoint
from mmkd_sod.utils.held_signals import held_signals
from tests.methods import runner


@pytest.fixture(autouse=True)
def handlers():
    """Set Python's default handler and restore the previous one."""
    old = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in old.items():
        signal.signal(number, handler)


def interrupt(number=signal.SIGINT):
    os.kill(os.getpid(), number)


def test_an_interruption_is_delayed_until_the_block_ends():
    done = []
    with pytest.raises(KeyboardInterrupt), held_signals():
        interrupt()
        interrupt()
        done.append(1)
    assert done and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_any_handler_is_called_at_the_end():
    called, done = [], []
    signal.signal(signal.SIGTERM, lambda number, _: called.append((number, list(done))))
    with held_signals():
        interrupt(signal.SIGTERM)
        done.append(1)
    assert called == [(signal.SIGTERM, [1])]


def test_ignored_signals_stay_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with held_signals():
        interrupt()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_an_error_within_is_not_lost():
    with pytest.raises(OSError, match='full'), held_signals():
        raise OSError('full')
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(KeyboardInterrupt) as caught, held_signals():
        interrupt()
        raise OSError('full')
    assert isinstance(caught.value.__context__, OSError)


def test_other_threads_do_not_delay_signals():
    seen = []

    def work():
        with held_signals():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]


class Interrupted(Hook):
    """Sends an interruption whenever the config is formatted, from the first step on."""

    def __init__(self, monkeypatch):
        self.monkeypatch, self.format = monkeypatch, yapf_api.FormatCode
        # onedl-mmengine imports yapf's function at the call, mmengine at the top.
        self.place = config if hasattr(config, 'FormatCode') else yapf_api

    def _format(self, *args, **kwargs):
        interrupt()
        return self.format(*args, **kwargs)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.monkeypatch.setattr(self.place, 'FormatCode', self._format)


def test_an_interruption_while_a_checkpoint_is_written_stays_one(tmp_path, monkeypatch):
    run = runner('crosskd', tmp_path, steps=4, hooks=[Interrupted(monkeypatch)])
    with pytest.raises(KeyboardInterrupt):
        run.train()
    path = latest_checkpoint(tmp_path)
    assert path == str(tmp_path / 'epoch_1.pth') and is_complete(path)
    assert (tmp_path / 'last_checkpoint').read_text() == path
    # Without the guard the interruption becomes an error about the config.
    with pytest.raises(SyntaxError, match='Failed to format the config file'):
        _ = run.cfg.pretty_text
