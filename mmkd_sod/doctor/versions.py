"""Versions of what a run stands on, and whether this package asked for them."""
import os
import platform
from importlib import metadata

import torch
from packaging.requirements import Requirement

from mmkd_sod.version import __version__

from .case import Case
from .report import Section

NAME, TITLE, NEEDS = 'versions', 'Versions', ()
_SHOWN = ('torch', 'mmengine', 'mmcv', 'mmdet', 'mmsegmentation', 'mmrazor', 'numpy',
          'opencv-python')


def _version(package: str) -> str | None:
    if package == 'torch':
        # Its own word names the build (`+cpu`, `+cu130`), which the metadata may leave out.
        return str(torch.__version__)
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _wanted() -> list:
    """Requirements of the installed package, extras left out."""
    try:
        lines = metadata.requires('mmkd_sod') or []
    except metadata.PackageNotFoundError:
        return []
    found = [Requirement(line) for line in lines]
    return [item for item in found if item.marker is None or item.marker.evaluate({'extra': ''})]


def examine(case: Case, section: Section) -> None:
    """Report versions and the device; warn of those that the package's requirements exclude."""
    versions = {name: _version(name) for name in _SHOWN}
    device = (torch.cuda.get_device_name() if case.device.startswith('cuda')
              else f'{case.device}, {torch.get_num_threads()} of {os.cpu_count()} threads')
    section.data.update(
        mmkd_sod=__version__, python=platform.python_version(), device=device, packages=versions)
    section.say(f'mmkd_sod {__version__}, Python {platform.python_version()}, {device}')
    section.say(', '.join(f'{name} {version or "missing"}' for name, version in versions.items()))
    for wanted in _wanted():
        found = _version(wanted.name)
        if found is None:
            section.warn(f'{wanted.name} is not installed; mmkd_sod asks for {wanted}')
        elif not wanted.specifier.contains(found, prereleases=True):
            section.warn(f'{wanted.name} {found} is installed; mmkd_sod asks for '
                         f'{wanted.name}{wanted.specifier}')
