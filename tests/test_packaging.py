"""What mim and mmengine find of this package: the index, and what a wheel and an sdist hold."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest
from mmengine.fileio import load
from packaging.requirements import Requirement

from tests.conftest import ROOT
from tests.runs import RANDOM_TEACHER, TINY_DISTILL, on

INDEX = load(ROOT / 'model-index.yml')['Import']
# In a checkout these are not of the package.
ASIDE = shutil.ignore_patterns(
    '.git', '.venv', 'data', 'work_dirs', 'build', '*.egg-info', '.mim', '__pycache__', '.*_cache'
)


def test_every_folder_of_configs_is_indexed():
    folders = {path.parent for path in (ROOT / 'configs').glob('*/*.py')}
    wanted = sorted(
        f'configs/{folder.name}/metafile.yml' for folder in folders if folder.name != '_base_'
    )
    assert wanted == INDEX


@pytest.mark.parametrize('path', INDEX, ids=lambda path: path.split('/')[1])
def test_metafiles_list_every_config(path):
    meta = load(ROOT / path)
    collections = {collection['Name']: collection for collection in meta['Collections']}
    configs = [model['Config'] for model in meta['Models']]
    assert configs == sorted(
        p.relative_to(ROOT).as_posix() for p in (ROOT / path).parent.glob('*.py')
    )
    for model in meta['Models']:
        assert model['In Collection'] in collections
        assert all({'Task', 'Dataset', 'Metrics'} <= result.keys() for result in model['Results'])
    readme = (ROOT / path).with_name('README.md')
    named = {collection.get('README') for collection in collections.values()}
    assert named == {readme.relative_to(ROOT).as_posix() if readme.is_file() else None}


def test_names_are_unique():
    names = [model['Name'] for path in INDEX for model in load(ROOT / path)['Models']]
    assert len(names) == len(set(names))


def required(name, python):
    """Requirements of a file that hold for a Python."""
    lines = (
        line.split('#')[0].strip()
        for line in (ROOT / 'requirements' / f'{name}.txt').read_text().splitlines()
    )
    found = [Requirement(line) for line in lines if line and not line.startswith('-r')]
    return [
        item
        for item in found
        if item.marker is None or item.marker.evaluate({'python_version': python})
    ]


@pytest.mark.parametrize('python', ['3.10', '3.11', '3.12', '3.13'])
def test_every_pin_is_one_version_within_the_ranges(python):
    pins = required('constraints', python)
    versions = {pin.name: str(pin.specifier).removeprefix('==') for pin in pins}
    assert len(versions) == len(pins)
    ranges = [
        item
        for name in ('build', 'mminstall', 'lite', 'compiled', 'runtime', 'onnx')
        for item in required(name, python)
    ]
    pinned = [item for item in ranges if item.name in versions]
    assert {'torch', 'mmcv', 'mmcv-lite', 'mmrazor', 'numpy', 'onnxruntime'} <= {
        item.name for item in pinned
    }
    assert [str(item) for item in pinned if not item.specifier.contains(versions[item.name])] == []


@pytest.fixture(scope='module')
def built(tmp_path_factory):
    """A wheel and an sdist, built from a copy of the checkout."""
    folder = tmp_path_factory.mktemp('built')
    shutil.copytree(ROOT, folder / 'source', ignore=ASIDE, symlinks=True)
    code = (
        'from setuptools import build_meta\n'
        "build_meta.build_sdist('../out')\nbuild_meta.build_wheel('../out')\n"
    )
    (folder / 'out').mkdir()
    subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', code],
        cwd=folder / 'source',
        check=True,
        capture_output=True,
    )
    (wheel,) = (folder / 'out').glob('*.whl')
    (sdist,) = (folder / 'out').glob('*.tar.gz')
    return folder, wheel, sdist


def wanted_files():
    """Configs, tools and the index, below `.mim`."""
    files = [ROOT / 'model-index.yml']
    for folder in ('configs', 'tools'):
        files += [
            path
            for path in (ROOT / folder).rglob('*')
            if path.suffix in ('.py', '.yml', '.md', '.sh')
        ]
    return {p.relative_to(ROOT).as_posix() for p in files}


@pytest.mark.slow
def test_wheel_and_sdist_hold_configs_and_tools(built):
    _, wheel, sdist = built
    names = zipfile.ZipFile(wheel).namelist()
    assert {n.removeprefix('mmkd_sod/.mim/') for n in names if '/.mim/' in n} == wanted_files()
    assert {'mmkd_sod/py.typed', 'mmkd_sod/report/style.css'} <= set(names)
    metadata = next(n for n in names if n.endswith('METADATA'))
    extras = zipfile.ZipFile(wheel).read(metadata).decode()
    assert 'onnxruntime' in extras and 'extra == "onnx"' in extras
    # Neither mmcv is asked for but by an extra.
    asked = [line for line in extras.splitlines() if line.startswith('Requires-Dist: mmcv')]
    assert {line.partition(';')[2].strip() for line in asked} == {
        'extra == "lite"',
        'extra == "compiled"',
    }
    # What torch calls when it is imported.
    points = zipfile.ZipFile(wheel).read(metadata.replace('METADATA', 'entry_points.txt')).decode()
    assert 'mmkd_sod = mmkd_sod_autoload:offer' in points and 'mmkd_sod_autoload.py' in names
    with tarfile.open(sdist) as archive:
        below = {name.partition('/')[2] for name in archive.getnames()}
    inside = {f'mmkd_sod/.mim/{name}' for name in wanted_files()}
    # The requirements are what setup.py reads, so that the sdist can be built.
    assert (wanted_files() | inside | {'requirements/runtime.txt', 'setup.py'}) <= below


TRAIN = """
import sys
import mmkd_sod
assert mmkd_sod.__file__.startswith(sys.argv[1]), mmkd_sod.__file__
from mmengine.config import DictAction
from mmengine.hub import get_config
from mmengine.runner import Runner
import argparse
parser = argparse.ArgumentParser()
parser.add_argument('place')
parser.add_argument('--cfg-options', nargs='+', action=DictAction)
options = parser.parse_args().cfg_options
cfg = get_config('mmkd_sod::demo/scenes_gfl_crosskd.py')
assert cfg.filename.startswith(sys.argv[1]), cfg.filename
cfg.merge_from_dict(options)
cfg.work_dir = 'run'
Runner.from_cfg(cfg).train()
"""


@pytest.mark.slow
def test_an_installed_wheel_trains_a_config_found_by_its_name(built, scenes):
    folder, wheel, _ = built
    place = folder / 'installed'
    zipfile.ZipFile(wheel).extractall(place)
    options = [*on(scenes), *TINY_DISTILL, *RANDOM_TEACHER]
    env = dict(os.environ, OMP_NUM_THREADS='1', PYTHONPATH=str(place))
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', TRAIN, str(place), '--cfg-options', *options],
        cwd=folder,
        env=env,
        text=True,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert (folder / 'run' / 'epoch_1.pth').is_file()
    tool = subprocess.run(
        [
            sys.executable,
            '-W',
            'ignore',
            str(place / 'mmkd_sod/.mim/tools/train.py'),
            'mmkd_sod::demo/no_such.py',
        ],
        cwd=folder,
        env=env,
        text=True,
        capture_output=True,
    )
    assert tool.returncode == 2 and 'is not found in that package' in tool.stderr
