"""The entries of ``mmkd_sod.compat``, and the checks before one is applied."""

import importlib
import importlib.util
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.specifiers import SpecifierSet

ACTIVE, WAITING, SKIPPED, OFF = 'active', 'waiting', 'skipped', 'off'


@dataclass(frozen=True)
class Entry:
    """One upstream problem and how it is patched in memory.

    Attributes:
        name (str): Its name in ``MMKD_COMPAT_OFF`` and in the listing.
        packages (tuple[str]): Distributions that have the problem; the first installed one counts.
        versions (str): Their affected versions, as in a requirement.
        why (str): What is broken, in one sentence.
        until (str): When the entry can go.
        patch (Callable): Replaces the attributes; takes nothing, returns nothing.
        attributes (Mapping): What ``patch`` replaces or relies on: ``'module:qualified.name'`` to
            the names of its parameters, or to None where only its presence is checked; a
            ``'module'`` alone has to exist, and is not imported for the check.
        unless (tuple[str]): Distributions that make the entry unnecessary.
        after (str, optional): The module after whose import the entry is applied. For packages that
            ``import mmkd_sod`` must not load (mmdet, mmseg, mmrazor).
        security (bool): Whether untrusted files could run code or remove files without the entry.
            Where upstream is not what it was written for, it is an error and not skipped.
    """

    name: str
    packages: tuple[str, ...]
    versions: str
    why: str
    until: str
    patch: Callable[[], None]
    attributes: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)
    unless: tuple[str, ...] = ()
    after: str | None = None
    security: bool = False


@dataclass(frozen=True)
class Outcome:
    """Outcome of an entry.

    Attributes:
        entry (Entry): The entry.
        state (str): ``'active'``, ``'waiting'`` (for the import of its module), ``'skipped'`` or
            ``'off'``.
        reason (str): Why, in a few words.
        unexpected (bool): Whether it was skipped because upstream is not what the entry was
            written for.
    """

    entry: Entry
    state: str
    reason: str
    unexpected: bool = False


def installed_version(packages: tuple[str, ...]) -> tuple[str, str] | None:
    """Return name and version of the first of some distributions that is installed, or None."""
    for package in packages:
        try:
            return package, metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return None


def check_package(entry: Entry) -> Outcome | None:
    """Check packages and versions; return why the entry is skipped, or None."""
    found = installed_version(entry.packages)
    if found is None:
        return Outcome(entry, SKIPPED, f'{" or ".join(entry.packages)} is not installed')
    if needless := installed_version(entry.unless):
        return Outcome(entry, SKIPPED, f'{needless[0]} is installed')
    if not SpecifierSet(entry.versions).contains(found[1], prereleases=True):
        return Outcome(
            entry,
            SKIPPED,
            f'{" ".join(found)} is installed; the entry is for {found[0]}{entry.versions}',
            unexpected=True,
        )
    return None


def check_attributes(entry: Entry) -> Outcome | None:
    """Check what the entry replaces; return why it is skipped, or None."""
    for attribute, parameters in entry.attributes.items():
        fault = _fault(attribute, parameters)
        if fault is not None:
            return Outcome(entry, SKIPPED, f'{attribute} {fault}', unexpected=True)
    return None


def _fault(attribute: str, parameters: tuple[str, ...] | None) -> str | None:
    module, _, name = attribute.partition(':')
    if not name:
        return None if _module_exists(module) else 'does not exist'
    try:
        found: Any = importlib.import_module(module)
        for part in name.split('.'):
            found = getattr(found, part)
    except (ImportError, AttributeError):
        return 'does not exist'
    if parameters is None:
        return None
    have = tuple(inspect.signature(found).parameters)
    return (
        None if have == parameters else f'takes ({", ".join(have)}), not ({", ".join(parameters)})'
    )


def _module_exists(name: str) -> bool:
    """Whether a module is on disk; unlike ``find_spec``, this imports none of its parents."""
    top, *rest = name.split('.')
    spec = importlib.util.find_spec(top)
    if spec is None or not spec.submodule_search_locations:
        return spec is not None and not rest
    paths = [Path(folder, *rest) for folder in spec.submodule_search_locations]
    return any(path.is_dir() or path.with_suffix('.py').is_file() for path in paths)
