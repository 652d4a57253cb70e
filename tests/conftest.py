"""Shared fixtures: one thread, a fixed seed, and the folder of golden data."""

import logging
import os
import sys
from pathlib import Path

import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.visualization import Visualizer

import mmkd_sod  # noqa: F401  (compat first)
from mmkd_sod.datasets.scenes import SceneSettings, make_scenes
from tests.leftovers import files_below, left_between

ROOT = Path(__file__).resolve().parents[1]
OWN_GOLDEN = ROOT / 'tests' / 'data' / 'golden'
# Numbers of the authors' programs; MMKD_GOLDEN sets another folder.
GOLDEN = Path(os.environ.get('MMKD_GOLDEN', OWN_GOLDEN))


# Files of the checkout before the session, and those that are new after it.
_BEFORE, _LEFT = pytest.StashKey[set](), pytest.StashKey[list]()


def pytest_collection_modifyitems(items) -> None:
    """Skip tests marked ``gpu`` without CUDA."""
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker('gpu'):
            item.add_marker(pytest.mark.skip(reason='no CUDA'))


def golden_files(pattern: str) -> list:
    """Return parameters of a golden test: one per file of the pattern, or a skip with a reason."""
    files = sorted(GOLDEN.glob(pattern))
    if not files:
        reason = f'no {pattern} in the golden folder {GOLDEN.name}; set MMKD_GOLDEN'
        return [pytest.param(None, marks=pytest.mark.skip(reason=reason), id=pattern)]
    return [pytest.param(path, id=path.stem) for path in files]


def forget_visualizers() -> None:
    """Drop mmengine's visualizers: a process has one of a name, and hooks take the last one made.

    Without this a run would draw with, and write into the folder of, the run before it.
    """
    classes = [Visualizer]
    for cls in classes:
        cls._instance_dict.clear()
        classes.extend(cls.__subclasses__())


def release_captured_streams() -> None:
    """Let loggers made in a test write to the process's own stream from now on.

    pytest closes the stream that captured a test's output; a logger that kept it would print a
    traceback in a later test's output.
    """
    loggers = [
        logging.getLogger(),
        *logging.getLogger().manager.loggerDict.values(),
        *MMLogger._instance_dict.values(),
    ]
    for logger in loggers:
        for handler in getattr(logger, 'handlers', ()):
            if type(handler) is logging.StreamHandler:
                handler.stream = sys.__stderr__


def pytest_sessionstart(session):
    """Note the files of the checkout; worker processes of pytest-xdist leave this to the first."""
    if not hasattr(session.config, 'workerinput'):
        session.config.stash[_BEFORE] = files_below(ROOT)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session, exitstatus):
    """Fail if the tests left new files in the checkout."""
    before = session.config.stash.get(_BEFORE, None)
    if before is None:
        return
    left = left_between(before, files_below(ROOT))
    if left:
        session.config.stash[_LEFT] = left
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, config):
    """Name the files that the tests left."""
    left = config.stash.get(_LEFT, [])
    if left:
        terminalreporter.section('new files in the checkout', red=True)
        terminalreporter.write_line('\n'.join(left[:20]))


@pytest.fixture(autouse=True)
def _deterministic():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    forget_visualizers()
    release_captured_streams()


@pytest.fixture
def root() -> Path:
    """The checkout's root folder."""
    return ROOT


@pytest.fixture(scope='session')
def scenes(tmp_path_factory) -> Path:
    """Sixteen training and four validation scenes."""
    root = tmp_path_factory.mktemp('data') / 'scenes'
    make_scenes(root, SceneSettings(train=16, val=4), progress=False)
    return root
