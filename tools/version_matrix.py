"""Run the quick tests on other versions of what this package stands on; print a table.

A row either lays pure Python packages over the environment that runs this tool (a minute to
install), or makes an environment of its own with another Python or torch, for which mmcv is built
from source (11 minutes on 2 cores, some GB). Nothing of the running environment is changed.
"""
import argparse
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from mmkd_sod.engine.cli import run_tool
from mmkd_sod.errors import ConfigError

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / 'requirements'


@dataclass
class Row:
    """One environment.

    Attributes:
        packages (tuple[str]): What pip installs, in place of the versions in constraints.txt.
        python (str): Interpreter of an environment of its own; empty: an overlay.
    """
    packages: tuple[str, ...]
    python: str = ''


ROWS = {
    'mmengine-oldest': Row(('mmengine==0.10.4', )),
    'onedl-mmengine': Row(('onedl-mmengine', )),
    'onedl-mmdet-mmseg': Row(
        ('onedl-mmengine', 'onedl-mmdetection', 'onedl-mmsegmentation')),
    'torch-oldest': Row(('torch==2.6.0', ), 'python3.11'),
    'torch-newest': Row(('torch', ), 'python3.11'),
    'python3.10': Row(('torch==2.13.0', ), 'python3.10'),
    'python3.12': Row(('torch==2.13.0', ), 'python3.12'),
    'onedl': Row(('torch==2.13.0', 'onedl-mmengine', 'onedl-mmcv', 'onedl-mmdetection',
                  'onedl-mmsegmentation'), 'python3.11'),
}


def pip(python: str, *args, **env) -> None:
    """Run pip of an environment, quietly."""
    subprocess.run([python, '-m', 'pip', '-q', 'install', *args], check=True, cwd=ROOT,
                   env=dict(os.environ, **env))


def overlay(row: Row, folder: Path) -> tuple[str, dict]:
    """Install a row's packages over this environment; its interpreter and variables."""
    pip(sys.executable, '--no-deps', '--target', str(folder), *row.packages)
    return sys.executable, dict(PYTHONPATH=os.pathsep.join([str(folder), str(ROOT)]))


def environment(row: Row, folder: Path) -> tuple[str, dict]:
    """Make an environment of a row's Python; its interpreter and variables."""
    interpreter = shutil.which(row.python)
    if interpreter is None:
        raise ConfigError(f"'{row.python}' is not on the PATH; install it or leave the row out")
    subprocess.run([interpreter, '-m', 'venv', str(folder)], check=True)
    python = str(folder / 'bin' / 'python')
    forks = [package.replace('onedl-', '') for package in row.packages if 'onedl-' in package]
    named = {package.split('=')[0] for package in row.packages} | set(forks)
    named |= {'mmdet'} if 'mmdetection' in named else set()
    kept = [line for line in (REQUIREMENTS / 'constraints.txt').read_text().splitlines()
            if line and not line.startswith('#') and line.split('==')[0] not in named]
    pins = folder / 'constraints.txt'
    pins.write_text('\n'.join(kept) + '\n')
    torch, *others = row.packages
    pip(python, '-c', str(pins), torch, 'setuptools', 'wheel', 'ninja', 'numpy')
    build = ('--no-build-isolation', '-c', str(pins))
    if not others:
        others = ['mmengine', 'mmcv', 'mmdet', 'mmsegmentation']
    for package in others:
        pip(python, *build, package, MMCV_WITH_OPS='1')
    pip(python, *build, '--no-deps', 'mmrazor')
    for name in ('runtime.txt', 'tests.txt'):
        pip(python, *build, '-r', str(REQUIREMENTS / name))
    return python, dict(PYTHONPATH=str(ROOT))


def run_row(name: str, folder: Path, tests: list[str]) -> str:
    """Make a row's environment and run the tests; one line about how it went."""
    row, folder = ROWS[name], folder / name
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    try:
        python, env = (environment if row.python else overlay)(row, folder)
    except subprocess.CalledProcessError as error:
        return f'not installed: {" ".join(map(str, error.cmd[3:]))[:200]}'
    with open(folder / 'tests.log', 'w', encoding='utf-8') as log:
        subprocess.run([python, '-W', 'ignore', '-m', 'pytest', '-q', '--show-capture=no', *tests],
                       cwd=ROOT, env=dict(os.environ, **env), stdout=log, stderr=log)
    lines = (folder / 'tests.log').read_text(encoding='utf-8').strip().splitlines()
    return lines[-1] if lines else 'the tests said nothing'


def main() -> None:
    """Run the rows one after the other."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('rows', nargs='*', help=f'from {", ".join(ROWS)}; default: all')
    parser.add_argument('--folder', default='work_dirs/versions', help='of the environments')
    parser.add_argument('--tests', nargs='+', default=['tests'], help='what pytest runs')
    args = parser.parse_args()
    unknown = [name for name in args.rows if name not in ROWS]
    if unknown:
        raise ConfigError(f"row '{unknown[0]}' is unknown; choose from {', '.join(ROWS)}")
    print('| row | packages | tests |\n|---|---|---|', flush=True)
    for name in args.rows or ROWS:
        found = run_row(name, Path(args.folder).absolute(), args.tests)
        row = ROWS[name]
        print(f'| {name} | {row.python} {", ".join(row.packages)} | {found} |', flush=True)


if __name__ == '__main__':
    run_tool(main)
