"""The progress bar writes to stderr, or nowhere."""

from mmkd_sod.utils.progress import progress_bar


def test_progress_bar(capsys):
    with progress_bar(2) as advance:
        advance()
        advance()
    said = capsys.readouterr()
    assert '2/2' in said.err and said.err.endswith('\n') and not said.out


def test_silent(capsys):
    with progress_bar(2, show=False) as advance:
        advance()
    said = capsys.readouterr()
    assert not said.err and not said.out
