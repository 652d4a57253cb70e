"""`make install` has one mmcv: compiled where a wheel is ready or asked for, else mmcv-lite."""

import os
import shutil
import subprocess

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.skipif(shutil.which('make') is None, reason='make is not installed')

# Stands in for an environment's python. In the folder: `log`, `state` (the installed mmcv), and
# `wheel` where pip finds one: `good`, or `bad` for one of another torch.
PYTHON = """#!/bin/sh
cd "$(dirname "$0")/.."
echo "$*" >> log
case "$*" in
*"import mmcv._ext"*) [ "$(cat state)" = good ];;
*"pip uninstall"*) : > state;;
*"--only-binary"*compiled.txt*) [ -f wheel ] && cat wheel >> state;;
*compiled.txt*) [ -n "$MMCV_WITH_OPS" ] && echo good >> state;;
*lite.txt*) echo lite >> state;;
esac
"""


@pytest.fixture
def environment(tmp_path):
    """An environment without mmcv; its folder."""
    (tmp_path / 'bin').mkdir()
    (tmp_path / 'state').touch()
    python = tmp_path / 'bin/python'
    python.write_text(PYTHON)
    python.chmod(0o755)
    return tmp_path


def install(environment, **options):
    """What `make install` says, and the mmcv that it leaves; more than one is a fault."""
    words = [f'{key}={value}' for key, value in options.items()]
    # make passes its own variables on to the tests that it starts.
    own = ('OPS', 'VENV', 'PYTHON', 'WORKERS')
    env = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(('MAKE', 'MFLAGS')) and key not in own
    }
    done = subprocess.run(
        ['make', 'install', f'VENV={environment}', *words],
        cwd=ROOT,
        env=env,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    return done, (environment / 'state').read_text().split()


def built(environment):
    return [
        line
        for line in (environment / 'log').read_text().splitlines()
        if 'compiled.txt' in line and '--only-binary' not in line
    ]


@pytest.mark.parametrize(
    ('before', 'wheel', 'ops', 'after'),
    [
        ('', '', '', 'lite'),
        ('', 'good', '', 'good'),
        ('', 'bad', '', 'lite'),
        ('lite', '', '', 'lite'),
        ('lite', 'good', '', 'good'),
        ('good', '', '', 'good'),
        ('bad', '', '', 'lite'),
        ('', 'good', 'lite', 'lite'),
        ('good', '', 'lite', 'lite'),
        ('', '', 'compiled', 'good'),
        ('lite', 'bad', 'compiled', 'good'),
    ],
)
def test_there_is_one_mmcv_and_nothing_is_built_unasked(environment, before, wheel, ops, after):
    (environment / 'state').write_text(before)
    if wheel:
        (environment / 'wheel').write_text(wheel)
    done, found = install(environment, **(dict(OPS=ops) if ops else {}))
    assert done.returncode == 0, done.stdout
    assert found == [after]
    assert len(built(environment)) == (ops == 'compiled')


def test_the_choice_holds_until_another_is_made(environment):
    install(environment, OPS='compiled')
    log = (environment / 'log').read_text()
    for options in ({}, dict(OPS='compiled')):
        assert install(environment, **options)[1] == ['good']
    assert (environment / 'log').read_text() == log
    assert install(environment, OPS='lite')[1] == ['lite']
    (environment / 'wheel').write_text('good')
    assert install(environment)[1] == ['lite']
    assert install(environment, OPS='compiled')[1] == ['good']


def test_an_unknown_choice_is_refused(environment):
    done, found = install(environment, OPS='some')
    assert done.returncode and 'OPS=some is unknown' in done.stdout and found == []
