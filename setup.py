"""Packaging of mmkd_sod; the requirements live in `requirements/`."""

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

ROOT = Path(__file__).parent
# What mmengine (`mmkd_sod::demo/...`) and mim look for in an installed package, below `.mim`.
MIM = ('configs', 'tools', 'model-index.yml')


def fill_mim(package: Path) -> None:
    """Copy configs and tools into a built package, fresh."""
    target = package / '.mim'
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for name in MIM:
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name, target / name, ignore=shutil.ignore_patterns('__pycache__', '*.pyc')
            )
        else:
            shutil.copy2(ROOT / name, target)


class BuildWithMim(build_py):
    """Puts `.mim` into wheels; an editable install uses the checkout's own folders."""

    def run(self) -> None:
        super().run()
        if not getattr(self, 'editable_mode', False):
            fill_mim(Path(self.build_lib) / 'mmkd_sod')


class SdistWithMim(sdist):
    """Puts `.mim` into the package of a source distribution."""

    def make_release_tree(self, base_dir, files) -> None:
        super().make_release_tree(base_dir, files)
        fill_mim(Path(base_dir) / 'mmkd_sod')


def read_requirements(name: str) -> list:
    """Requirement lines of `requirements/<name>.txt` and of the files it names by `-r`."""
    found = []
    for raw in (ROOT / 'requirements' / f'{name}.txt').read_text().splitlines():
        line = raw.split('#')[0].strip()
        if line.startswith('-r '):
            found += read_requirements(line.removeprefix('-r ').strip().removesuffix('.txt'))
        elif line:
            found.append(line)
    return found


VERSION = re.search(
    r"__version__ = '([^']+)'", (ROOT / 'mmkd_sod' / 'version.py').read_text()
).group(1)

setup(
    name='mmkd_sod',
    version=VERSION,
    description='Knowledge distillation of dense-prediction models for OpenMMLab',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    packages=find_packages(include=['mmkd_sod', 'mmkd_sod.*']),
    py_modules=['mmkd_sod_autoload'],
    # torch calls it when it is imported, so that mmcv-lite finds operators whatever comes first.
    entry_points={'torch.backends': ['mmkd_sod = mmkd_sod_autoload:offer']},
    include_package_data=True,
    package_data={'mmkd_sod': ['py.typed'], 'mmkd_sod.report': ['style.css']},
    cmdclass={'build_py': BuildWithMim, 'sdist': SdistWithMim},
    python_requires='>=3.10,<3.14',
    install_requires=read_requirements('runtime') + read_requirements('mminstall'),
    # A requirement cannot say "mmcv or mmcv-lite", so each is an extra.
    extras_require={
        name: read_requirements(name) for name in ('lite', 'compiled', 'docs', 'onnx', 'tests')
    },
)
