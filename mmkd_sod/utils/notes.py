"""Notes below the traceback of an error."""


class Note(Exception):
    """A note in Python 3.10: an error that is printed above the first one of a chain."""


def add_note(error: BaseException, text: str) -> None:
    """Add a note to an error without changing its type, message and traceback.

    Python prints notes after the message; Python 3.10 has no notes, so the text is printed first.

    Args:
        error (BaseException): The error, which is being handled; may be that of a worker process.
        text (str): Text of the note.
    """
    if hasattr(error, 'add_note'):
        error.add_note(text)
    else:
        _put_above(error, text)


def _put_above(error: BaseException, text: str) -> None:
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    error.__context__ = Note(text)
