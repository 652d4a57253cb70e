"""Grouping runs into studies of teachers, plain students and distilled students."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mmengine.config import Config

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.builder import resolve_model_cfg
from mmkd_sod.models.student import is_distillation

from .runs import Run

ROLES = ('teacher', 'plain', 'distilled')
# Keys that may differ between repetitions of a run.
_NOT_THE_RECIPE = (
    'randomness',
    'work_dir',
    'load_from',
    'resume',
    'launcher',
    'default_hooks',
    'log_level',
    'log_processor',
    'env_cfg',
    'vis_backends',
    'visualizer',
    'test_dataloader',
    'test_evaluator',
)
# Minimum distance at which a plain model does not belong to a distillation.
_UNRELATED = 0.5


@dataclass
class Variant:
    """Runs of one recipe with different seeds.

    Attributes:
        role (str): One of ``ROLES``.
        name (str): Displayed name.
        runs (list[Run]): Runs sorted by seed.
    """

    role: str
    name: str
    runs: list = field(default_factory=list)

    def by_seed(self, split: str, key: str) -> dict:
        """Return the values of a score, ``{seed: [values]}``; runs without it are skipped."""
        table: dict = {}
        for run in self.runs:
            scores = run.scores(split)
            if key in scores:
                table.setdefault(run.seed, []).append(scores[key])
        return table

    def values(self, split: str, key: str) -> list[float]:
        """Return the values of a score, one per run."""
        return [value for values in self.by_seed(split, key).values() for value in values]


@dataclass
class Study:
    """Runs of one student network and its teachers, which share a table.

    Attributes:
        name (str): Title.
        variants (list[Variant]): Teachers, plain students and distilled students, in this order.
    """

    name: str
    variants: list = field(default_factory=list)

    def of(self, role: str) -> list[Variant]:
        """Return the variants of a role."""
        return [variant for variant in self.variants if variant.role == role]

    @property
    def runs(self) -> list[Run]:
        """All runs."""
        return [run for variant in self.variants for run in variant.runs]


def leaves(node, prefix: str = '') -> Iterator[tuple[str, str]]:
    """Yield the settings of a nested config as (path, value), without scopes and checkpoints."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key not in ('_scope_', 'init_cfg', 'teacher_ckpt'):
                yield from leaves(value, f'{prefix}.{key}')
    elif isinstance(node, (list, tuple)):
        for index, value in enumerate(node):
            yield from leaves(value, f'{prefix}.{index}')
    else:
        yield prefix, repr(node)


def distance(model, other) -> float:
    """Return the share of settings in which two model configs differ, in [0, 1]."""
    ours, theirs = set(leaves(model)), set(leaves(other))
    keys = {key for key, _ in ours | theirs}
    return len({key for key, _ in ours ^ theirs}) / len(keys) if keys else 0.0


def _sides(cfg: Config) -> tuple:
    """Return the model configs of student and teacher, None if a config file is missing."""
    sides = []
    for name in ('architecture', 'teacher'):
        try:
            side = cfg.model.get(name)
            sides.append(None if side is None else resolve_model_cfg(side, name))
        except ConfigError:
            sides.append(None)
    return tuple(sides)


def _same_folder(one: Path, other: Path) -> bool:
    """Return whether two paths may be the same folder: one ends with the other."""
    count = min(len(one.parts), len(other.parts))
    return count > 0 and one.parts[-count:] == other.parts[-count:]


def writer_of(checkpoint: Path, runs: list[Run]) -> Run | None:
    """Return the run that wrote a checkpoint to its folder or a subfolder, or None if unknown.

    Folders are compared with the run's current path and its logged ``work_dir``, since folders may
    have been moved.
    """
    for folder in list(checkpoint.parents)[:2]:
        owners = [
            run
            for run in runs
            if _same_folder(run.path.resolve(), folder)
            or _same_folder(Path(run.cfg.get('work_dir') or ''), folder)
        ]
        if owners:
            return owners[0] if len(owners) == 1 else None
    return None


def join_tests(runs: list[Run]) -> tuple[list[Run], list[str]]:
    """Assign the scores of tests with separate folders to the runs of the tested checkpoints.

    Returns:
        tuple: The remaining runs, and a note for each test without a run.
    """
    kept = [run for run in runs if run.train or run.val or run.forced_role]
    notes = []
    for test in runs:
        if test in kept:
            continue
        owner = writer_of(test.tested, kept) if test.tested is not None else None
        if owner is None:
            notes.append(
                f'{test.path}: the run that wrote the tested checkpoint is missing; add '
                'it, or give the folder as role=FOLDER.'
            )
        elif test.test:
            owner.test, owner.tested = test.test, test.tested
            owner.class_tables.update(
                {split: table for split, table in test.class_tables.items() if split == 'test'}
            )
    return kept, notes


def _recipe(run: Run) -> str:
    """Return the settings that repetitions of a run have in common, as text."""
    cfg = {key: value for key, value in run.cfg._cfg_dict.items() if key not in _NOT_THE_RECIPE}
    return json.dumps(sorted(leaves(cfg)))


def _distiller_name(cfg: Config) -> str:
    """Return the method of a distillation, such as ``CrossKD`` or ``CSKD + CrossKD``."""

    def names(distiller) -> list[str]:
        entries = distiller.get('distillers')
        entries = list(entries.values()) if isinstance(entries, dict) else entries
        if entries:
            return [
                name
                for entry in entries
                if isinstance(entry.get('distiller', entry), dict)
                for name in names(entry.get('distiller', entry))
            ]
        kind = str(distiller.get('type', 'distilled')).split('.')[-1]
        return [kind.removesuffix('Distiller') or kind]

    return ' + '.join(dict.fromkeys(names(cfg.model.get('distiller') or {})))


def group(runs: list[Run]) -> list[Study]:
    """Group runs into studies, and derive their roles.

    Each distillation defines a pair of student and teacher; a plain run gets the role of the model
    that is most similar to its own. Runs without related distillation form one study of plain
    models.
    """
    pairs: list[tuple[list[Run], tuple]] = []
    unrelated: list[Run] = []
    for run in runs:
        if not is_distillation(run.cfg):
            continue
        student, teacher = _sides(run.cfg)
        for members, sides in pairs:
            if student is not None and sides[0] is not None and not distance(student, sides[0]):
                members.append(run)
                break
        else:
            pairs.append(([run], (student, teacher)))
    roles = {id(run): 'distilled' for members, _ in pairs for run in members}
    for run in runs:
        if is_distillation(run.cfg):
            continue
        near = [
            (distance(run.cfg.model, model), number, role)
            for number, (_, sides) in enumerate(pairs)
            for role, model in zip(('plain', 'teacher'), sides, strict=True)
            if model is not None
        ]
        best = min(near, default=None)
        if run.forced_role and len(pairs) == 1:
            best = (0.0, 0, run.forced_role)
        if best is None or best[0] > _UNRELATED:
            unrelated.append(run)
            continue
        roles[id(run)] = best[2]
        pairs[best[1]][0].append(run)
    studies = [_study(members, roles) for members, _ in pairs]
    if unrelated:
        studies.append(_study(unrelated, roles, 'Other runs'))
    return studies


def _study(members: list[Run], roles: dict, name: str | None = None) -> Study:
    """Return the study of some runs, with repetitions grouped and unique names."""
    variants: dict[tuple, Variant] = {}
    for run in members:
        role = run.forced_role or roles.get(id(run), 'plain')
        key = (role, _recipe(run))
        if key not in variants:
            label = dict(teacher='Teacher', plain='Plain').get(role)
            variants[key] = Variant(
                role,
                label or (_distiller_name(run.cfg) if is_distillation(run.cfg) else 'Distilled'),
            )
        variants[key].runs.append(run)
    ordered = sorted(variants.values(), key=lambda variant: ROLES.index(variant.role))
    # Equal names get the name of the config, and if that is equal too a number.
    for name_of in (
        lambda v, n: f'{v.name} ({v.runs[0].config_name})',
        lambda v, n: f'{v.name} {n}',
    ):
        for title in {variant.name for variant in ordered}:
            same = [variant for variant in ordered if variant.name == title]
            for number, variant in enumerate(same, start=1):
                if len(same) > 1:
                    variant.name = name_of(variant, number)
    for variant in ordered:
        variant.runs.sort(key=lambda run: (run.seed is None, run.seed or 0, str(run.path)))
    if name is None:
        last = ordered[-1].runs[0]
        name = last.config_name
    return Study(name, ordered)
