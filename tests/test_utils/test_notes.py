"""Notes stand beside an error's type, message and traceback."""

import sys
import traceback

import pytest

from mmkd_sod.utils import notes


def fail(add):
    try:
        try:
            raise KeyError('inner')
        except KeyError as error:
            raise ValueError('outer') from error
    except ValueError as error:
        add(error, 'a note')
        raise


def printed(add) -> str:
    with pytest.raises(ValueError, match='outer') as caught:
        fail(add)
    return ''.join(traceback.format_exception(caught.value))


@pytest.mark.skipif(sys.version_info < (3, 11), reason='has no notes')
def test_a_note_is_the_last_line():
    assert printed(notes.add_note).endswith('ValueError: outer\na note\n')


def test_without_notes_it_stands_above_all():
    text = printed(notes._put_above)
    assert text.startswith('mmkd_sod.utils.notes.Note: a note\n')
    assert text.index('a note') < text.index("KeyError: 'inner'") < text.index('ValueError: outer')
    assert text.endswith('ValueError: outer\n')
