"""Messages that the command line prints for an error."""

import traceback

from mmkd_sod.cli.errors import explained
from mmkd_sod.errors import UserError
from mmkd_sod.utils.notes import Note


def end_of(error: BaseException) -> str:
    """Return type, message and notes of an error as Python prints them."""
    text = ''.join(traceback.format_exception_only(error))
    first = error
    while (inner := first.__cause__ or first.__context__) is not None:
        first = inner
    # Python 3.10 has no notes; they are printed above the traceback.
    return text + (str(first) if isinstance(first, Note) else '')


def shown(run) -> str | None:
    """The sentence, or the end of the traceback, of a function that fails; None of one that works.

    A sentence begins with ``mmkd_sod.errors.``, the module of its class.
    """
    try:
        run()
    except Exception as error:
        told = explained(error)
        assert (told is error) == (not isinstance(told, UserError) or isinstance(error, UserError))
        return end_of(told)
    return None
