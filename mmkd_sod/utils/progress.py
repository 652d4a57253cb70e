"""Progress of long work, with the time left."""
import sys
from contextlib import contextmanager

from tqdm import tqdm


@contextmanager
def progress_bar(total: int, show: bool = True):
    """Show a progress bar with an estimate of the time left on stderr.

    A terminal sees it move; a log file gets a line every ten seconds at most.

    Args:
        total (int): Number of steps.
        show (bool): False shows nothing.

    Yields:
        Callable: To be called after each step.
    """
    interval = 0.1 if sys.stderr.isatty() else 10.
    with tqdm(total=total, disable=not show, file=sys.stderr, mininterval=interval,
              maxinterval=interval) as bar:
        yield bar.update
