"""Progress of long work, with the time left."""
import sys
from contextlib import contextmanager


@contextmanager
def progress_bar(total: int, show: bool = True):
    """Show a progress bar with an estimate of the time left on stderr.

    Args:
        total (int): Number of steps.
        show (bool): False shows nothing.

    Yields:
        Callable: To be called after each step.
    """
    if not show:
        yield lambda: None
        return
    from mmengine.utils import ProgressBar
    bar = ProgressBar(total, file=sys.stderr)
    try:
        yield bar.update
    finally:
        print(file=sys.stderr)
