"""Packaging of mmkd_sod; the requirements live in `requirements/`."""
import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent


def read_requirements(name: str) -> list:
    """Requirement lines of `requirements/<name>.txt`, without comments."""
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text().splitlines()
    return [line for line in (raw.split('#')[0].strip() for raw in lines) if line]


VERSION = re.search(r"__version__ = '([^']+)'",
                    (ROOT / 'mmkd_sod' / 'version.py').read_text()).group(1)

setup(
    name='mmkd_sod',
    version=VERSION,
    description='Knowledge distillation of dense-prediction models for OpenMMLab',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    packages=find_packages(include=['mmkd_sod', 'mmkd_sod.*']),
    include_package_data=True,
    package_data={'mmkd_sod.report': ['style.css']},
    python_requires='>=3.10',
    install_requires=read_requirements('runtime') + read_requirements('mminstall'),
    extras_require={'tests': read_requirements('tests')},
)
