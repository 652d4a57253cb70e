"""mmdet's metrics round their values to three digits (mmdet 3.0 to 3.3).

Two close scores could be rounded to values that differ by 1e-3, the limit of a comparison. Not an
entry of the list: it lasts for one evaluation, and only where the caller asks for it.
"""

import contextlib
import sys
from collections.abc import Iterator

from mmengine.evaluator import BaseMetric


@contextlib.contextmanager
def unrounded(metric: BaseMetric) -> Iterator[None]:
    """Disable the rounding of a metric of mmdet; others do not change.

    Args:
        metric (BaseMetric): Its module, and those of its bases in mmdet, get a name ``round`` that
            hides the builtin, and lose it at the end.
    """
    modules = [
        sys.modules[cls.__module__]
        for cls in type(metric).__mro__
        if cls.__module__.startswith('mmdet.')
    ]
    modules = [module for module in modules if 'round' not in vars(module)]
    for module in modules:
        vars(module)['round'] = lambda value, digits=None: value
    try:
        yield
    finally:
        for module in set(modules):
            del vars(module)['round']
