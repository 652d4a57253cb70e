"""Try CSKD on mmseg's segmentors and write docs/cskd_segmentors.md.

Each architecture runs one training step as the student of a PSPNet, and one as the teacher of a
PSPNet, in a small version of mmseg's own config.
"""

import argparse
from dataclasses import dataclass

import torch
from mmengine.registry import init_default_scope

from mmkd_sod.cli.common import run_tool
from mmkd_sod.errors import ConfigError
from mmkd_sod.models.distillers.segmentors import find_classifier
from mmkd_sod.models.recorders import ForwardRecorder
from mmkd_sod.registry import MODELS
from mmkd_sod.testing.small_segmentors import (
    CLASSIFIERS,
    SMALL_SEGMENTORS,
    random_batch,
    small_segmentor,
)
from mmkd_sod.utils.files import atomic_path
from mmkd_sod.utils.progress import progress_bar

OTHER = 'PSPNet'  # the other side of each trial
TERMS = ('loss_cwd', 'loss_cam', 'loss_pam')


@dataclass
class Trial:
    """One architecture on one side.

    Attributes:
        shape (tuple): (C, H, W) of the classifier's input.
        losses (dict[str, float]): Each term.
        clean (bool): All losses were positive and finite, all gradients finite, the student
            changed, and the teacher neither changed nor received a gradient.
    """

    shape: tuple
    losses: dict[str, float]
    clean: bool


def build_pair(student: str, teacher: str):
    """Build a student and a random teacher with CSKD, in train mode."""
    init_default_scope('mmseg')
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type='mmkd_sod.DenseDistill',
            architecture=small_segmentor(student),
            teacher=small_segmentor(teacher),
            teacher_allow_missing=['*'],
            distiller=dict(
                type='mmkd_sod.CSKDDistiller',
                resize='student',
                student_classifier=CLASSIFIERS.get(student),
                teacher_classifier=CLASSIFIERS.get(teacher),
            ),
        )
    ).train()


def try_pair(student: str, teacher: str, side: str) -> Trial:
    """Run one step of SGD.

    Args:
        student (str): Name of the student's architecture.
        teacher (str): The teacher's.
        side (str): Whose feature shape is returned, ``'student'`` or ``'teacher'``.

    Raises:
        ConfigError: The pair is refused.
    """
    model = build_pair(student, teacher)
    data = model.data_preprocessor(random_batch(), training=True)
    before = [p.detach().clone() for p in model.student.parameters()]
    role, name = (
        (model.student, model.distiller.student_classifier)
        if side == 'student'
        else (model.teacher, model.distiller.teacher_classifier)
    )
    classifier = find_classifier(role, side, 'CSKDDistiller', name)
    with ForwardRecorder(
        {'feat': (classifier, 'input')}, lambda feat: tuple(feat.shape[1:])
    ) as shapes:
        total, log = model.parse_losses(model(**data, mode='loss'))
    # After the first forward pass, which folds the teacher's BN.
    kept = [x.clone() for x in model.teacher.state_dict().values()]
    total.backward()
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    torch.optim.SGD(model.parameters(), 0.01).step()
    moved = [not torch.equal(a, b) for a, b in zip(before, model.student.parameters(), strict=True)]
    losses = {term: float(log[f'distill.{term}']) for term in TERMS}
    finite = all(bool(torch.isfinite(x).all()) for x in (total, *grads))
    still = all(
        torch.equal(a, b) for a, b in zip(kept, model.teacher.state_dict().values(), strict=True)
    )
    untouched = all(p.grad is None for p in model.teacher.parameters())
    return Trial(
        shapes['feat'][-1],
        losses,
        finite
        and any(moved)
        and still
        and untouched
        and all(value > 0 for value in losses.values()),
    )


def try_segmentor(name: str) -> tuple[Trial, Trial] | str:
    """Try an architecture as student and as teacher; return the trials or the reason of refusal."""
    try:
        return try_pair(name, OTHER, 'student'), try_pair(OTHER, name, 'teacher')
    except ConfigError as error:
        return str(error)


def row(name: str, found: tuple[Trial, Trial]) -> str:
    """Return a line of the table."""
    cells = [name, f'`{CLASSIFIERS.get(name, "conv_seg")}`', ' x '.join(map(str, found[0].shape))]
    for trial in found:
        cells.append(', '.join(f'{trial.losses[term]:.2g}' for term in TERMS))
    return f'| {" | ".join(cells)} |'


def table(found: dict[str, tuple[Trial, Trial] | str]) -> str:
    """Return the page."""
    tried = {name: trials for name, trials in found.items() if not isinstance(trials, str)}
    lines = [
        '# Segmentors tried with CSKD',
        '',
        f'{len(tried)} of {len(found)} architectures of mmseg ran a training step as the student '
        f'of a {OTHER}, and one as the teacher of',
        f'a {OTHER}. This page is written by a tool that tries each architecture:',
        '',
        '<!-- parse only: takes minutes -->',
        '```bash',
        'python tools/segmentor_table.py',
        '```',
        '',
        "The models are small versions of mmseg's own configs with random weights, on 4 images of "
        '64 x 64, with',
        "`resize='student'`. The columns give the loss terms of that step. All losses and "
        'gradients were finite, the student',
        'changed, the teacher did not, and no gradient reached it.',
        '',
        '| architecture | classifier | feature, C x H x W | as student: CWD, CAM, PAM '
        '| as teacher |',
        '| --- | --- | --- | --- | --- |',
    ]
    lines += [row(name, trials) for name, trials in tried.items()]
    refused = {name: reason for name, reason in found.items() if isinstance(reason, str)}
    if refused:
        lines += ['', '## Refused', '', '| architecture | reason |', '| --- | --- |']
        lines += [f'| {name} | {reason} |' for name, reason in refused.items()]
    return '\n'.join(lines) + '\n'


def parse_args(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument('--out', default='docs/cskd_segmentors.md', help='file to write')
    parser.add_argument(
        '--segmentors',
        nargs='*',
        choices=sorted(SMALL_SEGMENTORS),
        metavar='NAME',
        help='only try these',
    )
    return parser.parse_args(argv)


def main(argv=None) -> None:
    args = parse_args(argv)
    names = args.segmentors or list(SMALL_SEGMENTORS)
    found = {}
    with progress_bar(len(names)) as done:
        for name in names:
            found[name] = try_segmentor(name)
            done()
    failed = [
        name
        for name, trials in found.items()
        if not isinstance(trials, str) and not all(trial.clean for trial in trials)
    ]
    if failed:
        raise ConfigError(
            f'segmentor_table: {", ".join(failed)} failed the trial, so {args.out} '
            'is unchanged; fix CSKDDistiller'
        )
    with atomic_path(args.out) as temporary:
        temporary.write_text(table(found), encoding='utf-8')
    print(
        f'{args.out}: {sum(not isinstance(x, str) for x in found.values())} of {len(found)} '
        'architectures supported'
    )


if __name__ == '__main__':
    run_tool(main)
