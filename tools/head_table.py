"""Try CrossKD on every dense head of mmdet and write docs/crosskd_heads.md.

Each supported head is trained for some steps on one batch with the distillation losses only, as
student and teacher, in a small detector built from mmdet's own config. For every other head the
page gives the reason from the error message with which a config is refused.
"""

import argparse
from dataclasses import dataclass

import torch
from mmengine.logging import MessageHub
from mmengine.registry import init_default_scope

from mmkd_sod.cli.common import run_tool
from mmkd_sod.errors import ConfigError
from mmkd_sod.models.task_modules import DenseCross, cross_reader_class, reader_class
from mmkd_sod.registry import MODELS
from mmkd_sod.testing.small_detectors import SMALL_DETECTORS, random_batch, small_detector
from mmkd_sod.utils.files import atomic_path
from mmkd_sod.utils.progress import progress_bar

# Modules in mmdet's list of heads that are not heads.
_PARTS = ('FeatureAdaption', 'YOLACTProtonet')
# Largest loss of a student equal to its teacher, relative to that of a random pair.
ZERO = 1e-3


@dataclass
class Trial:
    """Result of one head.

    Attributes:
        head (str): Class name.
        compared (str): What is compared, or why the head is refused.
        kind (str): Kind of detector; heads of other kinds than dense are not tried.
        first, last (float): The distillation loss before the first and after the last step; NaN
            for a refused head.
        same (float): The loss of a student that equals its teacher.
        clean (bool): No gradient reached the teacher and all losses and gradients were finite.
    """

    head: str
    compared: str
    kind: str = 'dense'
    first: float = float('nan')
    last: float = float('nan')
    same: float = float('nan')
    clean: bool = True

    @property
    def supported(self) -> bool:
        """Whether the head was tried."""
        return self.first == self.first

    @property
    def passed(self) -> bool:
        """Whether the trial met all conditions."""
        return self.clean and self.last < self.first and self.same <= ZERO * self.first


def dense_heads() -> dict[str, type]:
    """Return all heads that mmdet lists, by name."""
    from mmdet.models import dense_heads as heads

    return {name: getattr(heads, name) for name in sorted(heads.__all__) if name not in _PARTS}


def roi_heads() -> dict[str, type]:
    """Return all RoI heads that mmdet lists, by name."""
    from mmdet.models import roi_heads as heads

    names = [name for name in sorted(heads.__all__) if name.endswith('RoIHead')]
    return {name: getattr(heads, name) for name in names if name != 'BaseRoIHead'}


def distiller_cfg(head: type, idx: int) -> dict:
    """Return the config of CrossKD with the terms that the head needs."""
    reader = reader_class(head, 'student')
    bins = dict(type='mmkd_sod.KDKLDivLoss', loss_weight=4.0)
    cfg = dict(
        type='mmkd_sod.CrossKDDistiller',
        reused_teacher_head_idx=idx,
        loss_cls_kd=dict(type='mmkd_sod.KDQualityFocalLoss'),
        loss_reg_kd=bins if reader.reg_kind == 'bins' else dict(type='mmdet.GIoULoss'),
    )
    if reader.has_centerness:
        cfg['loss_center_kd'] = dict(type='mmdet.CrossEntropyLoss', use_sigmoid=True)
    return cfg


def build_pair(name: str, idx: int = 1, seed: int = 0, teacher_width: int = 8, **distiller):
    """Build a student and a random teacher with the same head, in train mode."""
    init_default_scope('mmdet')
    # TOOD reads the epoch of the training: use one after its first stage.
    MessageHub.get_current_instance().update_info('epoch', 10)
    torch.manual_seed(seed)
    cfg = dict(distiller_cfg(dense_heads()[name], idx), **distiller)
    return MODELS.build(
        dict(
            type='mmkd_sod.DenseDistill',
            architecture=small_detector(name),
            teacher=small_detector(name, width=teacher_width),
            distiller=cfg,
            teacher_allow_missing=['*'],
        )
    ).train()


def step(model) -> tuple[torch.Tensor, dict]:
    """Return the sum of the distillation losses on one batch, and each loss."""
    data = model.data_preprocessor(random_batch(), training=True)
    losses = {
        key: value
        for key, value in model(**data, mode='loss').items()
        if key.startswith('distill.')
    }
    return sum(losses.values()), losses


def same_loss(name: str) -> float:
    """Return the loss of a student with the teacher's weights and statistics."""
    model = build_pair(name, teacher_width=4)
    model.student.load_state_dict(model.teacher.state_dict())
    for module in model.student.modules():  # only the layers: heads have other outputs in eval mode
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.eval()
    with torch.no_grad():
        losses = step(model)[1]
    # If both agree, the BCE of centerness is the entropy of the target, not 0.
    return float(sum(value for key, value in losses.items() if 'center' not in key))


def try_head(name: str, steps: int = 30, lr: float = 2e-3) -> Trial:
    """Train a student on the distillation losses of one batch.

    Args:
        name (str): Class name of a supported head.
        steps (int): Steps of Adam.
        lr (float): Learning rate.
    """
    model = build_pair(name)
    optimizer = torch.optim.Adam(model.parameters(), lr)
    values, clean = [], True
    for _ in range(steps):
        optimizer.zero_grad()
        loss, _ = step(model)
        loss.backward()
        grads = [p.grad for p in model.parameters() if p.grad is not None]
        clean &= bool(torch.isfinite(loss)) and all(bool(torch.isfinite(g).all()) for g in grads)
        clean &= any(bool(g.any()) for g in grads)
        values.append(float(loss.detach()))
        optimizer.step()
    with torch.no_grad():
        values.append(float(step(model)[0]))
    clean &= all(p.grad is None and not p.requires_grad for p in model.teacher.parameters())
    return Trial(
        name,
        reader_class(dense_heads()[name], 'student').compared,
        'dense',
        values[0],
        values[-1],
        same_loss(name),
        clean,
    )


def without_trial(name: str, head: type) -> Trial:
    """Return what is compared of a head that is not dense, or why a head is refused."""
    try:
        reader = cross_reader_class(head, 'student')
        found = reader if reader is not DenseCross else reader_class(head, 'student')
        if found.kind != 'dense':
            return Trial(name, found.compared, kind=found.kind)
    except ConfigError as error:
        sentence = str(error)
        reason = sentence.partition(', since ')[2].rpartition('; ')[0]
        return Trial(name, reason or sentence)
    raise ConfigError(
        f'head_table: {name} has a reader but no small detector; name its config in '
        'mmkd_sod/testing/small_detectors.py'
    )


def table(trials: list[Trial], steps: int) -> str:
    """Return the page."""
    tried = [trial for trial in trials if trial.supported]
    kept = sum(trial.supported or trial.kind != 'dense' for trial in trials)
    lines = [
        '# Heads that CrossKD supports',
        '',
        f'{kept} of the {len(trials)} heads of mmdet can be student and teacher, {len(tried)} of '
        'them dense; the others are refused when the model is built.',
        'This page is written by a tool that tries each head:',
        '',
        '<!-- parse only: takes minutes -->',
        '```bash',
        'python tools/head_table.py',
        '```',
        '',
        "Classes are compared as logits, weighted by the student's own label weights unless stated "
        'otherwise. Boxes are',
        "compared after decoding, weighted by the teacher's highest class score, with the loss in "
        'the config (here GIoU).',
        '',
        'The losses are the sum of the distillation terms on one batch of two images, before and '
        f'after {steps} steps of Adam',
        'on these terms only. Student and teacher are small detectors with random weights, built '
        "from mmdet's own config of",
        'the head (ResNet-18 of base width 4 and 8, 32 channels, split after the first block). In '
        'every trial all losses and',
        'gradients were finite, no gradient reached the teacher, and a student with the '
        "teacher's weights had at most",
        f'{ZERO:.1%} of the first loss, without the cross entropy of centerness, whose minimum is '
        'not 0.',
        '',
        '| head | compared | first loss | last loss |',
        '| --- | --- | --- | --- |',
    ]
    lines += [f'| `{t.head}` | {t.compared} | {t.first:.3g} | {t.last:.3g} |' for t in tried]
    return '\n'.join(lines + other_tables(trials)) + '\n'


def other_tables(trials: list[Trial]) -> list[str]:
    """Return the lines on heads of other kinds and on refused heads."""
    others = [trial for trial in trials if trial.kind != 'dense']
    lines = ['', '## Heads of other kinds', '', '| head | kind | compared |', '| --- | --- | --- |']
    lines += [f'| `{t.head}` | {t.kind} | {t.compared} |' for t in others]
    lines += ['', '## Refused', '', '| head | reason |', '| --- | --- |']
    refused = [t for t in trials if not t.supported and t.kind == 'dense']
    return lines + [f'| `{t.head}` | {t.compared} |' for t in refused]


def parse_args(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument('--out', default='docs/crosskd_heads.md', help='file to write')
    parser.add_argument('--steps', type=int, default=30, help='steps of each trial')
    parser.add_argument('--heads', nargs='*', help='only try these heads and print the results')
    return parser.parse_args(argv)


def main(argv=None) -> None:
    args = parse_args(argv)
    heads = dense_heads() | roi_heads()
    names = args.heads or list(heads)
    trials = []
    with progress_bar(len(names)) as done:
        for name in names:
            trials.append(
                try_head(name, args.steps)
                if name in SMALL_DETECTORS
                else without_trial(name, heads[name])
            )
            done()
    failed = [trial for trial in trials if trial.supported and not trial.passed]
    if args.heads or failed:
        for trial in failed or trials:
            print(trial)
    if failed:
        raise ConfigError(
            f'head_table: {", ".join(t.head for t in failed)} failed the trial, so '
            f'{args.out} is unchanged; fix the reader'
        )
    if not args.heads:
        with atomic_path(args.out) as temporary:
            temporary.write_text(table(trials, args.steps), encoding='utf-8')
        kept = sum(trial.supported or trial.kind != 'dense' for trial in trials)
        print(f'{args.out}: {kept} of {len(trials)} heads supported')


if __name__ == '__main__':
    run_tool(main)
