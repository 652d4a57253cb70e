"""Replacements of the names in pickles of numpy arrays that accept numbers only.

A pickle that may call ``numpy.ndarray`` or ``numpy.dtype`` can build an array of objects from
arbitrary bytes, which crashes the interpreter. Restricted unpicklers resolve these names to the
classes and functions of this module (``NAMES``).
"""

import math
import pickle
from typing import Any, NoReturn

import numpy as np

# Booleans, integers and floats, real and complex.
KINDS = 'biufc'


def _refuse(what: str) -> NoReturn:
    raise pickle.UnpicklingError(f'{what}, where only arrays of numbers are accepted')


class NumericDtype:
    """Replacement of ``numpy.dtype`` for numbers.

    Args:
        code (str): Type code such as ``'f8'``.
        options: numpy's ``align`` and ``copy``; ignored.

    Raises:
        UnpicklingError: The code is not that of a number.
    """

    def __init__(self, code: str, *options: Any) -> None:
        try:
            self.dtype = np.dtype(code if type(code) is str and len(code) <= 4 else 'O')
        except TypeError:
            self.dtype = np.dtype('O')
        if self.dtype.kind not in KINDS:
            _refuse(f'the dtype {code!r}')

    def __setstate__(self, state: tuple) -> None:
        """Set the byte order, the only state of a numeric dtype in numpy."""
        if (
            not isinstance(state, tuple)
            or len(state) < 5
            or state[1] not in ('<', '>', '|', '=')
            or any(part is not None for part in state[2:5])
        ):
            _refuse(f'a dtype with the state {state!r}')
        self.dtype = self.dtype.newbyteorder(state[1])


class NumericArray(np.ndarray):
    """Replacement of ``numpy.ndarray`` for numbers, pickled as a plain array."""

    def __new__(cls, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse calls in a pickle, which sets the content by ``__setstate__``."""
        _refuse('a call of numpy.ndarray')

    def __setstate__(self, state: tuple) -> None:
        """Set the content from numpy's state after checking shape, type and size."""
        if not isinstance(state, tuple) or len(state) != 5:
            _refuse('an array with an unknown state')
        _, shape, dtype, fortran, content = state
        if (
            not isinstance(dtype, NumericDtype)
            or not isinstance(content, bytes)
            or not isinstance(shape, tuple)
            or not all(type(side) is int and side >= 0 for side in shape)
            or len(content) != math.prod(shape) * dtype.dtype.itemsize
        ):
            _refuse('an array whose shape, type and content disagree')
        state = (1, shape, dtype.dtype, bool(fortran), content)
        super().__setstate__(state)  # type: ignore[arg-type]

    def __reduce_ex__(self, protocol):
        return self.view(np.ndarray).__reduce_ex__(protocol)


def empty_array(subtype: type, shape: tuple, dtype: object) -> np.ndarray:
    """Replace numpy's ``_reconstruct``, which numpy's pickles call with these arguments only."""
    if subtype is not NumericArray or tuple(shape) != (0,):
        _refuse('an array that numpy did not write')
    return np.ndarray.__new__(NumericArray, (0,), 'i1')  # type: ignore[arg-type]


def number(dtype: NumericDtype, content: bytes) -> np.generic:
    """Replace numpy's ``scalar``: return one number from its bytes."""
    if (
        not isinstance(dtype, NumericDtype)
        or not isinstance(content, bytes)
        or len(content) != dtype.dtype.itemsize
    ):
        _refuse('a scalar whose type and content disagree')
    return np.frombuffer(content, dtype.dtype)[0]


def no_bytes(*args: Any) -> bytes:
    """Replace ``bytes()``, which protocol 2 writes for the content of an empty array."""
    return _refuse('a call of bytes') if args else b''


# Names in pickles of numpy 1 and 2, and their replacements.
NAMES: dict[str, Any] = {
    'numpy.ndarray': NumericArray,
    'numpy.dtype': NumericDtype,
    'builtins.bytes': no_bytes,
    '__builtin__.bytes': no_bytes,
    **{
        f'{package}.multiarray._reconstruct': empty_array
        for package in ('numpy.core', 'numpy._core')
    },
    **{f'{package}.multiarray.scalar': number for package in ('numpy.core', 'numpy._core')},
}
