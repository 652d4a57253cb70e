"""Sorting runs by what they were for: teachers, plain students, distilled students."""
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
# What may differ between runs that only repeat one another.
_NOT_THE_RECIPE = (
    'randomness', 'work_dir', 'load_from', 'resume', 'launcher', 'default_hooks', 'log_level',
    'log_processor', 'env_cfg', 'vis_backends', 'visualizer', 'test_dataloader', 'test_evaluator')
# A plain model this far from both sides of a distillation has nothing to do with it.
_STRANGER = 0.5


@dataclass
class Variant:
    """Runs of one recipe that differ in their seed.

    Attributes:
        role (str): One of ``ROLES``.
        name (str): What it is called on the page.
        runs (list[Run]): Sorted by seed.
    """
    role: str
    name: str
    runs: list = field(default_factory=list)

    def by_seed(self, split: str, key: str) -> dict:
        """Values of a score, ``{seed: [values]}``; runs without it are left out."""
        table: dict = {}
        for run in self.runs:
            scores = run.scores(split)
            if key in scores:
                table.setdefault(run.seed, []).append(scores[key])
        return table

    def values(self, split: str, key: str) -> list[float]:
        """Values of a score, one a run."""
        return [value for values in self.by_seed(split, key).values() for value in values]


@dataclass
class Study:
    """One student network with its teacher: what belongs into one table.

    Attributes:
        name (str): Its title.
        variants (list[Variant]): Teachers first, then plain, then distilled students.
    """
    name: str
    variants: list = field(default_factory=list)

    def of(self, role: str) -> list[Variant]:
        """The variants of a role."""
        return [variant for variant in self.variants if variant.role == role]

    @property
    def runs(self) -> list[Run]:
        """All runs."""
        return [run for variant in self.variants for run in variant.runs]


def leaves(node, prefix: str = '') -> Iterator[tuple[str, str]]:
    """Every setting of a nested config as (path, value); scopes and weights' origins left out."""
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
    """Share of settings in which two model configs differ, 0 to 1."""
    mine, theirs = set(leaves(model)), set(leaves(other))
    both = {key for key, _ in mine | theirs}
    return len({key for key, _ in mine ^ theirs}) / len(both) if both else 0.


def _sides(cfg: Config) -> tuple:
    """Models of student and teacher of a distillation; None where its file is not there."""
    sides = []
    for name in ('architecture', 'teacher'):
        try:
            side = cfg.model.get(name)
            sides.append(None if side is None else resolve_model_cfg(side, name))
        except ConfigError:
            sides.append(None)
    return tuple(sides)


def _same_folder(one: Path, other: Path) -> bool:
    """Whether two paths may be one folder, seen from different places: one ends with the other."""
    count = min(len(one.parts), len(other.parts))
    return count > 0 and one.parts[-count:] == other.parts[-count:]


def writer_of(checkpoint: Path, runs: list[Run]) -> Run | None:
    """The run in whose folder a checkpoint was written; None if that is not certain.

    The folder's name when the run was logged counts as well as where it lies now, since folders
    move. A checkpoint that was exported into a folder below is the run's too.
    """
    for folder in list(checkpoint.parents)[:2]:
        owners = [run for run in runs if _same_folder(run.path.resolve(), folder) or _same_folder(
            Path(run.cfg.get('work_dir') or ''), folder)]
        if owners:
            return owners[0] if len(owners) == 1 else None
    return None


def join_tests(runs: list[Run]) -> tuple[list[Run], list[str]]:
    """Hand the scores of tests in folders of their own to the runs that were tested.

    A test's config is a plain model's, whoever trained it: only its checkpoint tells.

    Returns:
        tuple: The runs that stay, and a sentence for each that was left out.
    """
    kept = [run for run in runs if run.train or run.val or run.forced_role]
    notes = []
    for test in runs:
        if test in kept:
            continue
        owner = writer_of(test.tested, kept) if test.tested is not None else None
        if owner is None:
            notes.append(f'{test.path}: the run that wrote the tested checkpoint is not among '
                         'those given; add it, or give the folder as role=FOLDER.')
        elif test.test:
            owner.test, owner.tested = test.test, test.tested
            owner.class_tables.update(
                {split: table for split, table in test.class_tables.items() if split == 'test'})
    return kept, notes


def _recipe(run: Run) -> str:
    """What two repetitions of a run have in common, as text."""
    cfg = {key: value for key, value in run.cfg._cfg_dict.items() if key not in _NOT_THE_RECIPE}
    return json.dumps(sorted(leaves(cfg)))


def _distiller_name(cfg: Config) -> str:
    """Name of a distillation's method, such as ``CrossKD``, or ``CSKD + CrossKD``."""
    def names(distiller) -> list[str]:
        parts = distiller.get('distillers')
        parts = list(parts.values()) if isinstance(parts, dict) else parts
        if parts:
            return [name for part in parts if isinstance(part.get('distiller', part), dict)
                    for name in names(part.get('distiller', part))]
        kind = str(distiller.get('type', 'distilled')).split('.')[-1]
        return [kind.removesuffix('Distiller') or kind]

    return ' + '.join(dict.fromkeys(names(cfg.model.get('distiller') or {})))


def group(runs: list[Run]) -> list[Study]:
    """Sort runs into studies and roles.

    A distillation tells its student and its teacher; a plain run belongs to the side whose model
    its own is nearest to. Runs without any distillation make one study of plain models.
    """
    pairs: list[tuple[list[Run], tuple]] = []
    strangers: list[Run] = []
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
        near = [(distance(run.cfg.model, model), number, role)
                for number, (_, sides) in enumerate(pairs)
                for role, model in zip(('plain', 'teacher'), sides, strict=True)
                if model is not None]
        best = min(near, default=None)
        if run.forced_role and len(pairs) == 1:
            best = (0., 0, run.forced_role)
        if best is None or best[0] > _STRANGER:
            strangers.append(run)
            continue
        roles[id(run)] = best[2]
        pairs[best[1]][0].append(run)
    studies = [_study(members, roles, len(pairs)) for members, _ in pairs]
    if strangers:
        studies.append(_study(strangers, roles, 2 if studies else 1, 'Other runs'))
    return studies


def _study(members: list[Run], roles: dict, count: int, name: str | None = None) -> Study:
    """The study of some runs, repetitions put together and named apart."""
    variants: dict[tuple, Variant] = {}
    for run in members:
        role = run.forced_role or roles.get(id(run), 'plain')
        key = (role, _recipe(run))
        if key not in variants:
            label = dict(teacher='Teacher', plain='Plain').get(role)
            variants[key] = Variant(role, label or (
                _distiller_name(run.cfg) if is_distillation(run.cfg) else 'Distilled'))
        variants[key].runs.append(run)
    ordered = sorted(variants.values(), key=lambda variant: ROLES.index(variant.role))
    # Of equal names the config's, and where that is equal too a number, tells them apart.
    for name_of in (lambda v, n: f'{v.name} ({v.runs[0].config_name})',
                    lambda v, n: f'{v.name} {n}'):
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
