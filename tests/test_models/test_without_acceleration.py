"""The package without ``mmkd_sod/models/acceleration``: parity and training steps, no faster."""

import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT

PARITY = 'tests/test_models/test_distillers/test_crosskd_golden.py'
STEPS = 'tests/test_models/test_algorithms/test_teacher_never_moves.py'
# These ask for an acceleration by name.
ACCELERATED = ('test_exact_teacher_options_change_nothing',)


def run(*arguments: str) -> None:
    done = subprocess.run(
        [
            sys.executable,
            '-m',
            'pytest',
            '-q',
            '-p',
            'tests.without_acceleration',
            '-p',
            'no:cacheprovider',
            *arguments,
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert re.search(r'\d+ passed', done.stdout) and 'skipped' not in done.stdout, done.stdout


def test_parity_and_a_step_of_each_method():
    run(PARITY, f'{STEPS}::test_in_distributed_data_parallel')


@pytest.mark.slow
def test_algorithms_and_distillers():
    run(
        '-m',
        'not slow',
        'tests/test_models/test_algorithms',
        'tests/test_models/test_distillers',
        '-k',
        ' and '.join(f'not {name}' for name in ACCELERATED),
    )
