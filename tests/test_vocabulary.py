"""The check of phrases finds what it should, in prose, comments and strings."""

import pytest

from tests import vocabulary

PHRASES = vocabulary.read_list('# a comment\n\nfiles? of weights  checkpoint\n')


@pytest.mark.parametrize(
    ('text', 'lines'),
    [
        ('Give a file of weights.', [1]),
        ('one\nA file\nof weights, and files of weights', [2, 3]),
        ('# Read the file\n    # of weights', [1]),
        ("raise X('no file '\n        f'of weights {a}')", [1]),
        ('a profile of weights', []),
        ('a file; of weights', []),
    ],
    ids=str,
)
def test_a_phrase_is_found_across_lines(text, lines):
    assert [line for line, _, _ in vocabulary.find(text, PHRASES)] == lines


@pytest.mark.parametrize('line', ['files? of weights', 'files? of weights checkpoint', '(  x'])
def test_a_malformed_list_is_refused(line):
    with pytest.raises(ValueError, match='line 1'):
        vocabulary.read_list(line)


def test_checked_files_include_code_and_pages():
    names = {path.relative_to(vocabulary.ROOT).as_posix() for path in vocabulary.files()}
    assert {'README.md', 'docs/index.md', 'mmkd_sod/errors.py', 'tools/train.py'} <= names
    assert 'tests/vocabulary.py' not in names
