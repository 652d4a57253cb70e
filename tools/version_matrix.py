"""Run the quick tests on other versions of what this package stands on; print a table.

A row either lays pure Python packages over the environment that runs this tool (a minute to
install), or makes an environment of its own with another Python or torch (some GB), for which mmcv
is built from source with little optimisation (5 minutes on 2 cores: good for tests only). Nothing
of the running environment is changed. Below `--folder` lie, for each row, the environment, what pip
and pytest said, and the result as JSON; wheels that were built are kept in `wheels/`. A row that is
run again uses the environment that is there, and an installation that was stopped goes on.
"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

from mmkd_sod.cli.common import run_tool
from mmkd_sod.errors import ConfigError
from mmkd_sod.utils.files import write_json

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / 'requirements'
CONSTRAINTS = REQUIREMENTS / 'constraints.txt'


@dataclass
class Row:
    """One environment.

    Attributes:
        packages (tuple[str]): What pip installs, in place of the versions in constraints.txt.
        python (str): Interpreter of an environment of its own; empty: an overlay.
        mmcv_limit (str): Written into that environment's mmrazor, which refuses mmcv above 2.1.0,
            to see what else stands in the way; empty: mmrazor stays as it is.
    """
    packages: tuple[str, ...]
    python: str = ''
    mmcv_limit: str = ''


ROWS = {
    'mmengine-oldest': Row(('mmengine==0.10.4', )),
    'onedl-mmengine': Row(('onedl-mmengine==0.10.12', )),
    # onedl-mmdetection imports imaug, and that the last.
    'onedl-mmdet-mmseg': Row(('onedl-mmengine==0.10.12', 'onedl-mmdetection==3.5.1',
                              'onedl-mmsegmentation==1.4.2', 'imaug==0.4.2',
                              'imagecorruptions-imaug==1.1.5')),
    'python3.12': Row(('torch==2.13.0', ), 'python3.12'),
    'python3.10': Row(('torch==2.13.0', ), 'python3.10'),
    'torch-oldest': Row(('torch==2.6.0', ), 'python3.11'),
    'onedl': Row(('torch==2.13.0', 'onedl-mmengine==0.10.12', 'onedl-mmcv==2.3.6',
                  'onedl-mmdetection==3.5.1', 'onedl-mmsegmentation==1.4.2'), 'python3.11',
                 mmcv_limit='2.3.6'),
    'python3.13': Row(('torch==2.13.0', ), 'python3.13'),
    'torch-newest': Row(('torch==2.15.0', ), 'python3.11'),
}
# The forks go by other names on the index and take the places of these.
FORKS = {'onedl-mmengine': 'mmengine', 'onedl-mmcv': 'mmcv', 'onedl-mmdetection': 'mmdet',
         'onedl-mmsegmentation': 'mmsegmentation'}
# Later flags win over those that Python was built with.
BUILD = dict(MMCV_WITH_OPS='1', MAX_JOBS='2', CFLAGS='-O1 -g0', CXXFLAGS='-O1 -g0')
SHOWN = ('torch', *FORKS.values(), *FORKS, 'mmrazor', 'numpy', 'opencv-python')
VERSIONS = ('import json, platform\nfrom importlib import metadata\n'
            f'names = {SHOWN!r}\nfound = dict(python=platform.python_version())\n'
            'for name in names:\n'
            '    try:\n        found[name] = metadata.version(name)\n'
            '    except metadata.PackageNotFoundError:\n        pass\nprint(json.dumps(found))\n')


class Environment:
    """Where a row's packages lie, and how its Python is called."""

    def __init__(self, name: str, folder: Path) -> None:
        self.row, self.folder = ROWS[name], folder / name
        self.log = folder / f'{name}.install.log'
        self.stamp = self.folder / 'ready.json'
        self.wheels = folder / 'wheels'
        if self.row.python:
            self.python = str(self.folder / 'bin/python')
            # ninja lies beside Python.
            path = os.pathsep.join([str(self.folder / 'bin'), os.environ['PATH']])
            self.env = dict(os.environ, PATH=path, PYTHONPATH=str(ROOT))
        else:
            self.python = sys.executable
            self.env = dict(os.environ,
                            PYTHONPATH=os.pathsep.join([str(self.folder), str(ROOT)]))

    def wanted(self) -> dict:
        """What an environment that is ready was made of."""
        files = [CONSTRAINTS, *(REQUIREMENTS / f'{name}.txt' for name in ('runtime', 'tests'))]
        return dict(packages=list(self.row.packages), python=self.row.python,
                    mmcv_limit=self.row.mmcv_limit,
                    requirements=[file.read_text() for file in files])

    def pip(self, *args, **env) -> None:
        """Run pip of this environment; what it says goes to the log."""
        with open(self.log, 'a', encoding='utf-8') as log:
            # Outside of the checkout, where no file of it is taken for a package.
            subprocess.run([self.python, '-m', 'pip', '-q', *args], check=True,
                           cwd=self.folder, env={**self.env, 'PYTHONPATH': '', **env}, stdout=log,
                           stderr=log)

    def install(self) -> None:
        """Make the environment, or what is missing of it; that of other packages is made anew."""
        if self.stamp.is_file():
            found, wanted = json.loads(self.stamp.read_text()), self.wanted()
            if found == wanted:
                return
            if found['packages'] != wanted['packages']:
                shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log.unlink(missing_ok=True)
        if self.row.python:
            self._install_all()
        else:
            self.pip('install', '--no-deps', '--no-build-isolation', '--upgrade', '--target',
                     str(self.folder), *self.row.packages)
        write_json(self.stamp, self.wanted())

    def _install_all(self) -> None:
        if not Path(self.python).exists():
            interpreter = shutil.which(self.row.python)
            if interpreter is None:
                raise ConfigError(f"'{self.row.python}' is not on the PATH; install it or leave "
                                  'the row out')
            subprocess.run([interpreter, '-m', 'venv', str(self.folder)], check=True)
        torch, *others = self.row.packages
        places = {Requirement(torch).name}
        places |= {FORKS[Requirement(package).name] for package in others}
        pins = self.folder / 'constraints.txt'
        pins.write_text('\n'.join(
            line for line in CONSTRAINTS.read_text().splitlines()
            if line and not line.startswith('#') and Requirement(line).name not in places) + '\n')
        pinned = ('-c', str(pins))
        self.pip('install', *pinned, torch, 'setuptools', 'wheel', 'ninja', 'numpy')
        mmcv, = [package for package in others or ['mmcv'] if 'mmcv' in package]
        kept = self.wheels / f'{self.row.python}-{torch.replace("==", "-")}'
        name = Requirement(mmcv).name
        if not list(kept.glob(f'{name.replace("-", "_")}-*.whl')):
            # A wheel that lies elsewhere may be another torch's.
            self.pip('wheel', *pinned, '--no-deps', '--no-build-isolation', '--no-cache-dir',
                     '--no-binary', name, '-w', str(kept), mmcv, **BUILD)
        others = others or [name for name in FORKS.values() if name != 'mmcv']
        self.pip('install', *pinned, '--no-build-isolation', '--no-index', '--no-deps',
                 '--find-links', str(kept), mmcv)
        self.pip('install', *pinned, '--no-build-isolation', mmcv, *others, 'mmrazor',
                 '-r', str(REQUIREMENTS / 'runtime.txt'), '-r', str(REQUIREMENTS / 'tests.txt'))
        if self.row.mmcv_limit:
            file, = self.folder.glob('lib/python3*/site-packages/mmrazor/__init__.py')
            limit = f"mmcv_maximum_version = '{self.row.mmcv_limit}'"
            file.write_text(re.sub(r"mmcv_maximum_version = '.*'", limit, file.read_text()))

    def versions(self) -> dict:
        """Versions of Python and of the packages that matter."""
        found = subprocess.run([self.python, '-W', 'ignore', '-c', VERSIONS], check=True,
                               cwd=self.folder, env=self.env, text=True, capture_output=True)
        versions = json.loads(found.stdout)
        for fork, name in FORKS.items():
            if fork in versions:  # It lies over the other.
                versions.pop(name, None)
        return versions


def reason(error: subprocess.CalledProcessError, log: Path) -> str:
    """Why an installation failed: the compiler's first error, or the last that the log tells."""
    lines = log.read_text(encoding='utf-8').splitlines() if log.is_file() else []
    compiler = [line.partition('rror: ')[2] for line in lines
                if re.search(r':\d+: (fatal )?error: ', line)]
    if compiler:
        return compiler[0]
    # pip's own words about a failed build say less than the build's.
    told = [line.strip() for line in lines if re.search(r'(?i)error: ', line) and not re.search(
        r'subprocess-exited|ailed (building|to build)|metadata-generation', line)]
    return told[-1] if told else f'exit code {error.returncode}'


def test(env: Environment, workers: int, tests: list[str]) -> dict:
    """Run the tests in an environment; how it went."""
    log = env.folder.with_name(f'{env.folder.name}.tests.log')
    command = ['-m', 'pytest', '-q', '--show-capture=no', '-n', str(workers), *tests]
    with open(log, 'w', encoding='utf-8') as out:
        # Without an index mmengine cannot install what a config of another package asks for.
        subprocess.run([env.python, '-W', 'ignore', *command], cwd=ROOT,
                       env=dict(env.env, PIP_NO_INDEX='1'), stdout=out, stderr=out)
    lines = log.read_text(encoding='utf-8').strip().splitlines()
    # Packages may have a word after pytest's last.
    counts = [line.strip('= ') for line in lines
              if re.search(r'\d (passed|failed|skipped|deselected|errors?)\b.* in [\d.]+s', line)]
    told = counts[-1] if counts else (lines or ['the tests said nothing'])[-1]
    failed = [line for line in lines if line.startswith(('FAILED ', 'ERROR '))]
    return dict(command=' '.join(['python', *command]), tests=told, failed=failed)


def run_row(name: str, folder: Path, args: argparse.Namespace) -> None:
    """Make a row's environment, run the tests, and write down how it went."""
    env = Environment(name, folder)
    result = dict(python=env.row.python, packages=list(env.row.packages))
    try:
        env.install()
    except subprocess.CalledProcessError as error:
        write_json(folder / f'{name}.json',
                   dict(result, tests=f'not installed: {reason(error, env.log)}'), indent=1)
        return
    if not args.install_only:
        result.update(versions=env.versions(), **test(env, args.workers, args.tests))
        write_json(folder / f'{name}.json', result, indent=1)


def table(names: list[str], folder: Path) -> str:
    """What is known of the rows, as a table in Markdown."""
    lines = ['| row | versions | tests |', '|---|---|---|']
    for name in names:
        file = folder / f'{name}.json'
        if file.is_file():
            result = json.loads(file.read_text())
            shown = result.get('versions')
            shown = (', '.join(f'{key} {version}' for key, version in shown.items()) if shown
                     else ' '.join([result['python'], *result['packages']]).strip())
            lines.append(f'| {name} | {shown} | {result["tests"]} |')
        else:
            lines.append(f'| {name} | {", ".join(ROWS[name].packages)} | not run |')
    return '\n'.join(lines)


def main() -> None:
    """Run the rows one after the other."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('rows', nargs='*', help=f'from {", ".join(ROWS)}; default: all')
    parser.add_argument('--folder', default='work_dirs/versions', help='of the environments')
    parser.add_argument('--tests', nargs='+', default=['tests'], help='what pytest runs')
    parser.add_argument('--workers', type=int, default=2, help='processes that run tests')
    parser.add_argument('--install-only', action='store_true', help='run no tests')
    parser.add_argument('--table-only', action='store_true', help='print what is known')
    args = parser.parse_args()
    unknown = [name for name in args.rows if name not in ROWS]
    if unknown:
        raise ConfigError(f"row '{unknown[0]}' is unknown; choose from {', '.join(ROWS)}")
    names, folder = args.rows or list(ROWS), Path(args.folder).absolute()
    if not args.table_only:
        for name in names:
            print(f'{name} ...', file=sys.stderr, flush=True)
            run_row(name, folder, args)
    print(table(names, folder))


if __name__ == '__main__':
    run_tool(main)
