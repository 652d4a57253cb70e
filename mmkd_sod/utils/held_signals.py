"""Delaying signals until a block is finished."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def held_signals() -> Iterator[None]:
    """Delay SIGINT and SIGTERM to the end of the block, and deliver each once.

    SIGINT raises an exception at any point of a program. While mmengine saves a checkpoint, a bare
    ``except`` in its formatting of the config would turn it into a SyntaxError, and it could leave
    a checkpoint without the file that names it. SIGQUIT (Ctrl-\\) and SIGKILL are not delayed.

    Only the main thread receives signals; in other threads nothing is delayed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: dict[int, None] = {}
    # None marks a handler that was not set from Python and cannot be restored.
    handlers = {
        number: handler
        for number in SIGNALS
        if (handler := signal.getsignal(number)) not in (signal.SIG_IGN, None)
    }
    try:
        for number in handlers:
            signal.signal(number, lambda number, _: arrived.setdefault(number))
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for late in arrived:
            signal.raise_signal(late)
