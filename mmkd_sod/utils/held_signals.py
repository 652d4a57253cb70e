"""Signals that wait until something is finished."""
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def held_signals() -> Iterator[None]:
    """Hold SIGINT and SIGTERM back and deliver them at the end, each once.

    Python turns SIGINT into an exception wherever it happens to be. With every checkpoint mmengine
    formats the config, and a bare ``except`` there makes a SyntaxError about the config of it;
    between a checkpoint and the file that names it, it leaves the one without the other. A program
    that hangs meanwhile still ends by SIGQUIT (Ctrl-\\) or SIGKILL.

    Only the main thread receives signals; in others nothing is held.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: dict[int, None] = {}
    # None: a handler that was not set from Python and could not be set back.
    handlers = {number: handler for number in SIGNALS
                if (handler := signal.getsignal(number)) not in (signal.SIG_IGN, None)}
    try:
        for number in handlers:
            signal.signal(number, lambda number, _: arrived.setdefault(number))
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for late in arrived:
            signal.raise_signal(late)
