"""Progress bars."""

import sys
from contextlib import contextmanager

from tqdm import tqdm


@contextmanager
def progress_bar(total: int, show: bool = True):
    """Show a progress bar with the estimated remaining time on stderr.

    Updated ten times per second on a terminal, and every ten seconds otherwise.

    Args:
        total (int): Number of steps.
        show (bool): Whether to show the bar.

    Yields:
        Callable: Function to call after each step.
    """
    interval = 0.1 if sys.stderr.isatty() else 10.0
    with tqdm(
        total=total, disable=not show, file=sys.stderr, mininterval=interval, maxinterval=interval
    ) as bar:
        yield bar.update
