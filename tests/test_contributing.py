"""What contributors and automation read agrees with the Makefile, the pins and the version."""

import re

import pytest
import yaml

from mmkd_sod.version import __version__
from tests.conftest import ROOT

GITHUB = sorted((ROOT / '.github').rglob('*.yml'))
MAKEFILE = (ROOT / 'Makefile').read_text()
PINS = dict(
    re.findall(
        r'^([\w-]+)==(\S+)', (ROOT / 'requirements/constraints.txt').read_text(), re.MULTILINE
    )
)


def workflow() -> dict:
    return yaml.safe_load((ROOT / '.github/workflows/ci.yml').read_text())


@pytest.mark.parametrize('path', GITHUB, ids=lambda path: path.stem)
def test_files_of_github_load(path):
    assert isinstance(yaml.safe_load(path.read_text()), dict)


def test_workflow_runs_targets_of_the_makefile():
    commands = [
        step['run'] for job in workflow()['jobs'].values() for step in job['steps'] if 'run' in step
    ]
    targets = [command.split()[1] for command in commands if command.startswith('make ')]
    assert {'install', 'lint', 'docs', 'test'} <= set(targets)
    assert all(re.search(rf'^{target}:', MAKEFILE, re.MULTILINE) for target in targets)
    local = re.findall(r'^make (\w+)', (ROOT / '.ci/run').read_text(), re.MULTILINE)
    assert set(local) == set(targets)


def test_workflow_tests_the_supported_pythons():
    matrix = workflow()['jobs']['test']['strategy']['matrix']
    assert matrix['python'] == ['3.10', '3.11', '3.12', '3.13']
    lowest = re.search(r"python_requires='>=([\d.]+)", (ROOT / 'setup.py').read_text()).group(1)
    assert lowest == matrix['python'][0]


def test_pre_commit_runs_the_pinned_versions():
    repos = yaml.safe_load((ROOT / '.pre-commit-config.yaml').read_text())['repos']
    revisions = {repo['repo'].rpartition('/')[2]: repo.get('rev') for repo in repos}
    assert revisions['ruff-pre-commit'] == f'v{PINS["ruff"]}'
    assert revisions['codespell'] == f'v{PINS["codespell"]}'


def test_citation_and_changelog_name_the_version():
    citation = yaml.safe_load((ROOT / 'CITATION.cff').read_text())
    assert citation['version'] == __version__
    releases = re.findall(r'^## (\S+)', (ROOT / 'CHANGELOG.md').read_text(), re.MULTILINE)
    assert releases[:2] == ['Unreleased', __version__]
    assert all(reference['authors'] for reference in citation['references'])
