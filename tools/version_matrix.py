"""Run the tests that are not slow with other versions of the dependencies; print a table.

A row either adds pure Python packages on top of the environment that runs this tool (a minute to
install), or creates a separate environment with another Python or torch and mmcv-lite (some GB).
Nothing is compiled, and the running environment is not changed. `--folder` holds, for each row, the
environment, the logs of pip and pytest, and the result as JSON. A row that is run again reuses its
environment, and an interrupted installation resumes.
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
# Requirements of an environment.
WANTED = ('lite', 'mminstall', 'runtime', 'tests')


@dataclass
class Row:
    """One environment.

    Attributes:
        packages (tuple[str]): Packages that pip installs instead of those in constraints.txt.
        python (str): Interpreter of a separate environment; empty: use an overlay.
        mmcv_limit (str): Written into the row's own mmrazor, which refuses mmcv above 2.1.0, to
            find further incompatibilities; empty: mmrazor is unchanged.
    """

    packages: tuple[str, ...]
    python: str = ''
    mmcv_limit: str = ''


# onedl-mmdetection imports imaug, which imports imagecorruptions-imaug.
_ONEDL = (
    'onedl-mmengine==0.10.12',
    'onedl-mmdetection==3.5.1',
    'onedl-mmsegmentation==1.4.2',
    'imaug==0.4.2',
    'imagecorruptions-imaug==1.1.5',
)
ROWS = {
    'mmengine-oldest': Row(('mmengine==0.10.4',)),
    'onedl-mmengine': Row(('onedl-mmengine==0.10.12',)),
    'onedl-mmdet-mmseg': Row(_ONEDL),
    'onedl': Row((*_ONEDL, 'onedl-mmcv==2.3.6', 'mmrazor==1.0.0'), mmcv_limit='2.3.6'),
    'oldest': Row(('torch==2.6.0',), 'python3.10'),
    'python3.12': Row(('torch==2.13.0',), 'python3.12'),
    'python3.13': Row(('torch==2.13.0',), 'python3.13'),
    'torch-newest': Row(('torch==2.15.0',), 'python3.11'),
}
# Names of the forks on the package index, and the packages that they replace.
FORKS = {
    'onedl-mmengine': ('mmengine',),
    'onedl-mmcv': ('mmcv', 'mmcv-lite'),
    'onedl-mmdetection': ('mmdet',),
    'onedl-mmsegmentation': ('mmsegmentation',),
}
SHOWN = (
    'torch',
    *(name for names in FORKS.values() for name in names),
    *FORKS,
    'mmrazor',
    'numpy',
    'opencv-python',
)
VERSIONS = (
    'import json, platform\nfrom importlib import metadata\n'
    f'names = {SHOWN!r}\nfound = dict(python=platform.python_version())\n'
    'for name in names:\n'
    '    try:\n        found[name] = metadata.version(name)\n'
    '    except metadata.PackageNotFoundError:\n        pass\nprint(json.dumps(found))\n'
)


class Environment:
    """Packages and Python interpreter of a row."""

    def __init__(self, name: str, folder: Path) -> None:
        self.row, self.folder = ROWS[name], folder / name
        self.log = folder / f'{name}.install.log'
        self.stamp = self.folder / 'ready.json'
        if self.row.python:
            self.python = str(self.folder / 'bin/python')
            self.env = dict(os.environ, PYTHONPATH=str(ROOT))
        else:
            self.python = sys.executable
            self.env = dict(os.environ, PYTHONPATH=os.pathsep.join([str(self.folder), str(ROOT)]))

    def wanted(self) -> dict:
        """Return what the environment is made of, to compare with an existing one."""
        files = [CONSTRAINTS, *(REQUIREMENTS / f'{name}.txt' for name in WANTED)]
        return dict(
            packages=list(self.row.packages),
            python=self.row.python,
            mmcv_limit=self.row.mmcv_limit,
            requirements=[file.read_text() for file in files],
        )

    def pip(self, *args) -> None:
        """Run pip of this environment; write its output to the log."""
        with open(self.log, 'a', encoding='utf-8') as log:
            # Not in the checkout, whose folders pip could mistake for packages.
            subprocess.run(
                [self.python, '-m', 'pip', '-q', *args],
                check=True,
                cwd=self.folder,
                env={**self.env, 'PYTHONPATH': ''},
                stdout=log,
                stderr=log,
            )

    def install(self) -> None:
        """Create or complete the environment; recreate it if its packages have changed."""
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
            # onedl-mmcv is built in isolation: without torch it leaves its operators out.
            self.pip(
                'install',
                '--no-deps',
                '--upgrade',
                '--target',
                str(self.folder),
                *self.row.packages,
            )
        if self.row.mmcv_limit:
            (file,) = self.folder.glob('**/mmrazor/__init__.py')
            limit = f"mmcv_maximum_version = '{self.row.mmcv_limit}'"
            file.write_text(re.sub(r"mmcv_maximum_version = '.*'", limit, file.read_text()))
        write_json(self.stamp, self.wanted())

    def _install_all(self) -> None:
        if not Path(self.python).exists():
            interpreter = shutil.which(self.row.python)
            if interpreter is None:
                raise ConfigError(
                    f"'{self.row.python}' is not on the PATH; install it or omit the row"
                )
            subprocess.run([interpreter, '-m', 'venv', str(self.folder)], check=True)
        places = {Requirement(package).name for package in self.row.packages}
        pins = self.folder / 'constraints.txt'
        pins.write_text(
            '\n'.join(
                line
                for line in CONSTRAINTS.read_text().splitlines()
                if line and not line.startswith('#') and Requirement(line).name not in places
            )
            + '\n'
        )
        files = [word for name in WANTED for word in ('-r', str(REQUIREMENTS / f'{name}.txt'))]
        self.pip('install', '-c', str(pins), *self.row.packages, *files)

    def versions(self) -> dict:
        """Return the versions of Python and of the main packages."""
        found = subprocess.run(
            [self.python, '-W', 'ignore', '-c', VERSIONS],
            check=True,
            cwd=self.folder,
            env=self.env,
            text=True,
            capture_output=True,
        )
        versions = json.loads(found.stdout)
        for fork, names in FORKS.items():
            for name in names if fork in versions else ():  # It replaces the other.
                versions.pop(name, None)
        return versions


def reason(error: subprocess.CalledProcessError, log: Path) -> str:
    """Return why an installation failed: the compiler's first, or the log's last error."""
    lines = log.read_text(encoding='utf-8').splitlines() if log.is_file() else []
    compiler = [
        line.partition('rror: ')[2] for line in lines if re.search(r':\d+: (fatal )?error: ', line)
    ]
    if compiler:
        return compiler[0]
    # pip's own messages about a failed build are less specific than those of the build.
    told = [
        line.strip()
        for line in lines
        if re.search(r'(?i)error: ', line)
        and not re.search(r'subprocess-exited|ailed (building|to build)|metadata-generation', line)
    ]
    return told[-1] if told else f'exit code {error.returncode}'


def test(env: Environment, workers: int, tests: list[str]) -> dict:
    """Run the tests in an environment; return command, counts and failures."""
    log = env.folder.with_name(f'{env.folder.name}.tests.log')
    command = ['-m', 'pytest', '-q', '--show-capture=no', '-n', str(workers), *tests]
    with open(log, 'w', encoding='utf-8') as out:
        # Without an index mmengine cannot install packages that a config refers to.
        subprocess.run(
            [env.python, '-W', 'ignore', *command],
            cwd=ROOT,
            env=dict(env.env, PIP_NO_INDEX='1'),
            stdout=out,
            stderr=out,
        )
    lines = log.read_text(encoding='utf-8').strip().splitlines()
    # Packages may print lines after pytest's summary.
    counts = [
        line.strip('= ')
        for line in lines
        if re.search(r'\d (passed|failed|skipped|deselected|errors?)\b.* in [\d.]+s', line)
    ]
    told = counts[-1] if counts else (lines or ['no output from the tests'])[-1]
    failed = [line for line in lines if line.startswith(('FAILED ', 'ERROR '))]
    return dict(command=' '.join(['python', *command]), tests=told, failed=failed)


def run_row(name: str, folder: Path, args: argparse.Namespace) -> None:
    """Create a row's environment, run the tests, and write the result."""
    env = Environment(name, folder)
    result = dict(python=env.row.python, packages=list(env.row.packages))
    try:
        env.install()
    except subprocess.CalledProcessError as error:
        write_json(
            folder / f'{name}.json',
            dict(result, tests=f'not installed: {reason(error, env.log)}'),
            indent=1,
        )
        return
    if not args.install_only:
        result.update(versions=env.versions(), **test(env, args.workers, args.tests))
        write_json(folder / f'{name}.json', result, indent=1)


def table(names: list[str], folder: Path) -> str:
    """Return the known results of the rows as a Markdown table."""
    lines = ['| row | versions | tests |', '|---|---|---|']
    for name in names:
        file = folder / f'{name}.json'
        if file.is_file():
            result = json.loads(file.read_text())
            shown = result.get('versions')
            shown = (
                ', '.join(f'{key} {version}' for key, version in shown.items())
                if shown
                else ' '.join([result['python'], *result['packages']]).strip()
            )
            lines.append(f'| {name} | {shown} | {result["tests"]} |')
        else:
            lines.append(f'| {name} | {", ".join(ROWS[name].packages)} | not run |')
    return '\n'.join(lines)


def main() -> None:
    """Run the rows one after another."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('rows', nargs='*', help=f'from {", ".join(ROWS)}; default: all')
    parser.add_argument('--folder', default='work_dirs/versions', help='folder of the environments')
    parser.add_argument('--tests', nargs='+', default=['tests'], help='arguments of pytest')
    parser.add_argument('--workers', type=int, default=2, help='number of test processes')
    parser.add_argument('--install-only', action='store_true', help='do not run tests')
    parser.add_argument('--table-only', action='store_true', help='only print the known results')
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
