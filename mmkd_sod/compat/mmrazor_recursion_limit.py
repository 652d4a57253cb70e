"""mmrazor 1.0 raises Python's recursion limit to 2**20 when it is imported.

Two of its modules do so, for tracing networks that are pruned or searched. From then on an endless
recursion anywhere in the process ends in a crash instead of a RecursionError. The limit is set back
after each of the imports. Who prunes very deep networks in the same process switches the entry off.
"""

import sys
from contextlib import contextmanager

from .entry import Entry
from .import_hook import around_import

_RAISING = ('mmrazor.models.task_modules.tracer.fx_tracer', 'mmrazor.structures.graph.channel_flow')


@contextmanager
def kept_limit():
    """Set the recursion limit back to what it was."""
    limit = sys.getrecursionlimit()
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


def keep_limit() -> None:
    """Keep the limit over the imports that raise it."""
    for module in _RAISING:
        around_import(module, kept_limit)


ENTRY = Entry(
    name='mmrazor_recursion_limit',
    packages=('mmrazor',),
    versions='==1.0.*',
    attributes=dict.fromkeys(_RAISING),
    why='importing mmrazor raises the recursion limit to 2**20, where recursion crashes Python',
    until='an mmrazor that raises the limit only while it traces',
    patch=keep_limit,
)
