"""Reading pickles of numpy arrays without executing code from them."""

import io
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from mmkd_sod.errors import CheckpointError

from .numeric_arrays import NAMES


def _latin1(text: str, encoding: str) -> bytes:
    """Replace ``_codecs.encode``, with which pickle protocol 2 stores bytes."""
    if encoding != 'latin1':
        raise pickle.UnpicklingError(f'bytes in the encoding {encoding!r}')
    return text.encode('latin1')


# Names that a pickle may use and their replacements; all other names are refused.
ALLOWED = {**NAMES, '_codecs.encode': _latin1, 'collections.OrderedDict': OrderedDict}


class ArrayUnpickler(pickle.Unpickler):
    """Unpickler of plain containers and numpy arrays that refuses all other names.

    Attributes:
        names (dict): Names that a pickle may use and their replacements.
    """

    names: ClassVar[dict[str, Any]] = ALLOWED

    def find_class(self, module: str, name: str):
        """Return the replacement of an allowed name; raise UnpicklingError for others."""
        try:
            return self.names[f'{module}.{name}']
        except KeyError:
            raise pickle.UnpicklingError(f'the name {module}.{name}') from None


def load_array_pickle(path) -> dict:
    """Read a pickled dict of numpy arrays, such as a ``.pdparams`` file of Paddle.

    Args:
        path (str | Path): The file.

    Returns:
        dict: Numeric arrays by name; entries that are not arrays are skipped.

    Raises:
        CheckpointError: The file is missing, is not a pickle, uses names other than those of arrays
            and plain containers, or is not a dict of arrays.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(
            f"'{path}' cannot be read ({error.strerror}); give a .pdparams file"
        ) from None
    try:
        state = ArrayUnpickler(io.BytesIO(content)).load()
    # A damaged or malicious pickle may fail in any way; none of its code has run.
    except Exception as error:
        raise CheckpointError(
            f"'{path}' is not a pickle of numpy arrays ({error}); only such "
            'files are read, and no code in them is executed; give a .pdparams '
            'file'
        ) from None
    if not isinstance(state, dict):
        raise CheckpointError(
            f"'{path}' holds a {type(state).__name__}; it must hold a dict of "
            'arrays; give a .pdparams file of a network'
        )
    arrays = {
        name: np.array(value) for name, value in state.items() if isinstance(value, np.ndarray)
    }
    if not arrays:
        raise CheckpointError(
            f"'{path}' holds no arrays; it must hold the weights of a network; "
            'give a .pdparams file of a network'
        )
    return arrays
