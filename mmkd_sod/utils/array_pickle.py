"""Reading a pickle of numpy arrays without executing anything from it."""
import io
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np

from mmkd_sod.errors import CheckpointError

from .numeric_arrays import NAMES


def _latin1(text: str, encoding: str) -> bytes:
    """``_codecs.encode`` as protocol 2 uses it to write bytes."""
    if encoding != 'latin1':
        raise pickle.UnpicklingError(f'bytes written in the encoding {encoding!r}')
    return text.encode('latin1')


# What a pickle may name, and what it gets.
ALLOWED = {
    **NAMES,
    '_codecs.encode': _latin1,
    'collections.OrderedDict': OrderedDict,
}


class ArrayUnpickler(pickle.Unpickler):
    """An unpickler that knows plain containers and numpy arrays, and refuses every other name."""

    def find_class(self, module: str, name: str):
        try:
            return ALLOWED[f'{module}.{name}']
        except KeyError:
            raise pickle.UnpicklingError(f'the name {module}.{name}') from None


def load_array_pickle(path) -> dict:
    """Read a dict of numpy arrays that was pickled, as Paddle's ``.pdparams`` files are.

    Args:
        path (str | Path): The file.

    Returns:
        dict: Its arrays by name, numbers only. Entries that are no arrays are left out.

    Raises:
        CheckpointError: The file is missing, is no pickle, asks for anything but arrays and plain
            containers, or holds no dict of arrays.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f'{path}: cannot be read ({error.strerror}); give a .pdparams '
                              'file') from None
    try:
        state = ArrayUnpickler(io.BytesIO(content)).load()
    # A broken or hostile pickle may fail in any way; nothing of it has been called.
    except Exception as error:
        raise CheckpointError(f'{path}: not a pickle of numpy arrays ({error}); only such files '
                              'are read, and nothing in them is executed') from None
    if not isinstance(state, dict):
        raise CheckpointError(f'{path}: holds a {type(state).__name__}, wanted a dict of arrays')
    arrays = {name: np.array(value) for name, value in state.items()
              if isinstance(value, np.ndarray)}
    if not arrays:
        raise CheckpointError(f"{path}: holds no arrays, wanted a network's weights")
    return arrays
