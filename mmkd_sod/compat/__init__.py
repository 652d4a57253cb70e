"""The only package that replaces attributes of other packages, in memory, never on disk.

One module per problem: what is broken, in which versions, the patch, when the entry can go.
``apply`` runs once, when ``mmkd_sod`` is imported. An entry whose package has another version,
or whose attributes are not those that it was written for, is skipped with one warning; an entry
without which untrusted files could run code is an error instead.
``MMKD_COMPAT_OFF=name,...`` switches entries off; ``python -m mmkd_sod compat`` lists them.
"""

import importlib
import os
import warnings

from mmkd_sod.errors import InstallationError

from . import (
    annotation_files,
    biomedical_pickles,
    checkpoint_config_text,
    checkpoint_types,
    coco_defaults,
    depth_images,
    drawn_images,
    dumped_configs,
    finite_checkpoints,
    float32_losses,
    http_checkpoints,
    local_checkpoints,
    locked_work_dirs,
    mmcv_operators,
    mmrazor_quantization,
    mmrazor_recursion_limit,
    onedl_checkpoints,
    onedl_configs,
    openimages_hierarchy,
    own_configs,
    pkg_resources_warning,
    point_assigner,
    resumed_paths,
    sample_errors,
    whole_checkpoints,
)
from .entry import (
    ACTIVE,
    OFF,
    WAITING,
    Entry,
    Outcome,
    check_attributes,
    check_package,
    installed_version,
)
from .import_hook import after_import
from .mmcv_ops.extension import require_mmcv

__all__ = ['ENTRIES', 'OFF', 'SWITCH', 'Entry', 'Outcome', 'apply', 'installed_version', 'outcomes']

# Environment variable: names of entries to leave out, separated by commas.
SWITCH = 'MMKD_COMPAT_OFF'

# The order does not matter.
ENTRIES = (
    annotation_files.ENTRY,
    biomedical_pickles.ENTRY,
    checkpoint_config_text.ENTRY,
    checkpoint_types.ENTRY,
    coco_defaults.ENTRY,
    depth_images.ENTRY,
    drawn_images.ENTRY,
    dumped_configs.ENTRY,
    finite_checkpoints.ENTRY,
    float32_losses.ENTRY,
    http_checkpoints.ENTRY,
    local_checkpoints.ENTRY,
    locked_work_dirs.ENTRY,
    mmcv_operators.ENTRY,
    mmrazor_quantization.ENTRY,
    mmrazor_recursion_limit.ENTRY,
    onedl_checkpoints.ENTRY,
    onedl_configs.ENTRY,
    openimages_hierarchy.ENTRY,
    own_configs.ENTRY,
    pkg_resources_warning.ENTRY,
    point_assigner.ENTRY,
    resumed_paths.ENTRY,
    sample_errors.ENTRY,
    whole_checkpoints.ENTRY,
)

_outcomes: dict[str, Outcome] = {}


def apply(entries: tuple[Entry, ...] = ENTRIES) -> None:
    """Apply the entries not applied yet, now or after the import of their module.

    Raises:
        InstallationError: There is no mmcv, which mmdet and mmseg do not name as a requirement; or
            a security entry does not know the installed version.
    """
    require_mmcv()
    off = {name.strip() for name in os.environ.get(SWITCH, '').split(',')} - {''}
    unknown = sorted(off - {entry.name for entry in ENTRIES})
    if unknown and not _outcomes:
        warnings.warn(
            f'{SWITCH} names {", ".join(unknown)}; the entries are '
            f'{", ".join(entry.name for entry in ENTRIES)}; correct the variable',
            stacklevel=2,
        )
    for entry in entries:
        if entry.name not in _outcomes:
            _record(
                Outcome(entry, OFF, f'{SWITCH} names it')
                if entry.name in off
                else check_package(entry) or _schedule(entry)
            )


def _schedule(entry: Entry) -> Outcome:
    if entry.after is None:
        return _patch(entry)
    # Where the module has been imported already, the hook records the final outcome first.
    after_import(entry.after, lambda: _record(_patch(entry)))
    return _outcomes.get(entry.name) or Outcome(entry, WAITING, f'applied with {entry.after}')


def _patch(entry: Entry) -> Outcome:
    skipped = check_attributes(entry)
    if skipped is not None:
        return skipped
    entry.patch()
    return Outcome(entry, ACTIVE, entry.why)


def _record(outcome: Outcome) -> None:
    entry = outcome.entry
    if outcome.unexpected and entry.security:
        raise InstallationError(
            f'mmkd_sod does not know how to prevent that {entry.why}: {outcome.reason}; install '
            f'another version, or set {SWITCH}={entry.name} to accept it'
        )
    if outcome.unexpected and _outcomes.get(entry.name) != outcome:
        warnings.warn(
            f'mmkd_sod does not patch "{entry.name}" ({entry.why}): {outcome.reason}', stacklevel=3
        )
    _outcomes[entry.name] = outcome


def outcomes(import_all: bool = False) -> list[Outcome]:
    """Return the outcome of each entry.

    Args:
        import_all (bool): Import the modules that entries wait for first, which takes seconds.
    """
    if import_all:
        for outcome in list(_outcomes.values()):
            if outcome.state == WAITING and outcome.entry.after is not None:
                importlib.import_module(outcome.entry.after)
    return list(_outcomes.values())
