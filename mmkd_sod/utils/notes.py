"""Notes below the traceback of an error."""


class Note(Exception):
    """What Python 3.10 shows of a note: an error that stands above the first of a chain."""


def add_note(error: BaseException, text: str) -> None:
    """Add a line to what Python prints of an error, also of one in a worker process.

    Type, message and traceback stay. Python prints notes last; Python 3.10 knows none, and there
    the text is printed first.

    Args:
        error (BaseException): The error, which is being handled.
        text (str): The line.
    """
    if hasattr(error, 'add_note'):
        error.add_note(text)
    else:
        _put_above(error, text)


def _put_above(error: BaseException, text: str) -> None:
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    error.__context__ = Note(text)
