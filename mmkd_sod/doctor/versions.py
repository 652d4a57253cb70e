"""Section on the versions of packages, compared with the requirements."""

import os
import platform
from importlib import metadata

import torch
from packaging.requirements import Requirement

from mmkd_sod import compat
from mmkd_sod.compat.mmcv_ops.extension import operators_in_use
from mmkd_sod.version import __version__

from .context import Context
from .report import Section

NAME, TITLE, NEEDS = 'versions', 'Versions', ()
_SHOWN = ('torch', 'mmengine', 'mmdet', 'mmsegmentation', 'mmrazor', 'numpy', 'opencv-python')
# Distributions that install the package mmcv, all into the same folder.
_MMCV = ('mmcv', 'mmcv-lite', 'onedl-mmcv')


def _version(package: str) -> str | None:
    if package == 'torch':
        # Includes the build (`+cpu`, `+cu130`), which the metadata may omit.
        return str(torch.__version__)
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _wanted() -> list:
    """Return the requirements of the installed package without extras."""
    try:
        lines = metadata.requires('mmkd_sod') or []
    except metadata.PackageNotFoundError:
        return []
    found = [Requirement(line) for line in lines]
    return [item for item in found if item.marker is None or item.marker.evaluate({'extra': ''})]


def _examine_mmcv(section: Section) -> None:
    """Report the installed mmcv and the implementation of its operators."""
    versions = {name: _version(name) for name in _MMCV}
    found = [name for name in _MMCV if versions[name]]
    section.data['packages'].update({name: versions[name] for name in found or ('mmcv',)})
    section.data['operators'] = operators = operators_in_use()
    shown = ' and '.join(f'{name} {versions[name]}' for name in found) or 'mmcv of no package'
    section.add(f'{shown}, operators: {operators}')
    folders = {metadata.distribution(name).locate_file('mmcv') for name in found}
    if len(folders) < len(found):
        section.warn(
            f'{" and ".join(found)} are installed; both own the folder mmcv; uninstall '
            'both and install one of them'
        )


def examine(context: Context, section: Section) -> None:
    """Report versions, mmcv's operators and the device; warn about excluded versions."""
    versions = {name: _version(name) for name in _SHOWN}
    device = (
        torch.cuda.get_device_name()
        if context.device.startswith('cuda')
        else f'{context.device}, {torch.get_num_threads()} of {os.cpu_count()} threads'
    )
    outcomes = compat.outcomes()
    section.data.update(
        mmkd_sod=__version__,
        python=platform.python_version(),
        device=device,
        packages=versions,
        compat={outcome.entry.name: outcome.state for outcome in outcomes},
    )
    section.add(f'mmkd_sod {__version__}, Python {platform.python_version()}, {device}')
    section.add(', '.join(f'{name} {version or "missing"}' for name, version in versions.items()))
    _examine_mmcv(section)
    for outcome in outcomes:
        if outcome.unexpected or outcome.state == compat.OFF:
            section.warn(
                f'compat entry {outcome.entry.name} is {outcome.state}: {outcome.reason}; '
                f'without it {outcome.entry.why}'
            )
    for wanted in _wanted():
        found = _version(wanted.name)
        if found is None:
            section.warn(f'{wanted.name} is not installed; mmkd_sod requires {wanted}; install it')
        elif not wanted.specifier.contains(found, prereleases=True):
            section.warn(
                f'{wanted.name} {found} is installed; mmkd_sod requires '
                f'{wanted.name}{wanted.specifier}; install that version'
            )
