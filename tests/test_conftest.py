"""What the fixtures leave between tests."""

import io
import logging
from types import SimpleNamespace

import pytest
from mmengine.logging import MMLogger

from tests import conftest
from tests.conftest import release_captured_streams
from tests.leftovers import files_below, left_between


def test_loggers_do_not_keep_a_closed_stream(capsys):
    loggers = [MMLogger('of_a_test', logger_name='of_a_test'), logging.getLogger('of_a_test.too')]
    for logger in loggers:
        stream = io.StringIO()
        logger.addHandler(logging.StreamHandler(stream))
        stream.close()
        logger.error('told to nobody')
    assert 'Logging error' in capsys.readouterr().err
    MMLogger._instance_dict['of_a_test'] = loggers[0]
    try:
        release_captured_streams()
        for logger in loggers:
            logger.error('told')
    finally:
        del MMLogger._instance_dict['of_a_test']
        loggers[1].handlers.clear()
    assert 'Logging error' not in capsys.readouterr().err


def test_new_files_in_the_checkout_are_found(tmp_path):
    for name in ('a/b.py', 'a/__pycache__/c.pyc', 'env/pyvenv.cfg', 'env/lib/x.py'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    before = files_below(tmp_path)
    assert before == {'a/b.py'}
    for name in ('a/new.py', 'a/log.json', 'a/__pycache__/d.pyc', 'work/dumped.py'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    # A source beside others was written by somebody, not by a test.
    assert left_between(before, files_below(tmp_path)) == ['a/log.json', 'work/dumped.py']


def test_a_session_that_leaves_files_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(conftest, 'ROOT', tmp_path)
    session = SimpleNamespace(config=SimpleNamespace(stash=pytest.Stash()), exitstatus=0)
    conftest.pytest_sessionstart(session)
    conftest.pytest_sessionfinish(session, 0)
    assert session.exitstatus == 0
    (tmp_path / 'left.txt').touch()
    conftest.pytest_sessionfinish(session, 0)
    assert session.exitstatus == pytest.ExitCode.TESTS_FAILED
    lines = []
    shown = SimpleNamespace(section=lambda *a, **k: None, write_line=lines.append)
    conftest.pytest_terminal_summary(shown, config=session.config)
    assert lines == ['left.txt']
