"""mmseg unpickles biomedical images and masks freely (``decode_backend='pickle'``)."""

import io
from types import SimpleNamespace

from mmkd_sod.utils.array_pickle import ArrayUnpickler

from .entry import Entry


def _loads(content: bytes):
    return ArrayUnpickler(io.BytesIO(content)).load()


def unpickle_arrays() -> None:
    """Replace the name ``pickle`` in mmseg's module, which uses ``pickle.loads`` alone."""
    from mmseg.utils import io as module

    module.pickle = SimpleNamespace(loads=_loads)


ENTRY = Entry(
    name='biomedical_pickles',
    packages=('mmsegmentation', 'onedl-mmsegmentation'),
    versions='>=1.0,<2',
    security=True,
    attributes={'mmseg.utils.io:pickle': None, 'mmseg.utils.io:datafrombytes': None},
    why='mmseg runs code in pickled images',
    until='an mmseg that unpickles arrays only',
    patch=unpickle_arrays,
    after='mmseg.utils.io',
)
