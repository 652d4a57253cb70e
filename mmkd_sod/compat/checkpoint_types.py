"""mmengine cannot resume on torch >= 2.6, which loads with ``weights_only=True``.

Checkpoints of mmengine hold ``HistoryBuffer`` and numpy objects, which torch does not know. These
types carry data only and are put on the allow-list; the safe loader stays on. The names of numpy
lead to ``mmkd_sod.utils.numeric_arrays``, which builds arrays of numbers only. A
``HistoryBuffer`` is pickled with references to four of its own methods, which arrive as calls of
``getattr``: they are resolved by ``_history_statistic``, never by the real one.
"""

import pickle

import torch

from mmkd_sod.utils.numeric_arrays import NAMES

from .entry import Entry


def _history_statistic(owner, name):
    """What ``getattr`` may do in a checkpoint: name one of ``HistoryBuffer``'s own statistics."""
    from mmengine.logging.history_buffer import HistoryBuffer

    if owner is not HistoryBuffer or name not in ('min', 'max', 'mean', 'current'):
        raise pickle.UnpicklingError(
            f'the checkpoint asks for the attribute {name!r} of {owner!r}; only the statistics '
            "min, max, mean and current of mmengine's HistoryBuffer are let through"
        )
    return getattr(owner, name)


def allow_types() -> None:
    """Put the types of mmengine's message hub on torch's allow-list."""
    from mmengine.logging.history_buffer import HistoryBuffer

    torch.serialization.add_safe_globals(
        [
            HistoryBuffer,
            (_history_statistic, 'builtins.getattr'),
            *((stand_in, name) for name, stand_in in NAMES.items()),
        ]
    )


ENTRY = Entry(
    name='checkpoint_types',
    packages=('mmengine', 'onedl-mmengine'),
    versions='>=0.10.4,<0.11',
    attributes={
        'torch.serialization:add_safe_globals': ('safe_globals',),
        'mmengine.logging.history_buffer:HistoryBuffer': None,
    },
    why="torch's safe loader does not know the types of mmengine's message hub",
    until='an mmengine that registers its types or stores plain ones',
    patch=allow_types,
)
