"""The sections on steps and memory of benchmarks/README.md, each from one json file."""

from page_parts import PLOTS, page_section, table


def _size(cell: dict) -> str:
    height, width = cell['size']
    return f'`{cell["config"]}`, {cell["images"]} x {height} x {width}'


def crosskd_step(name: str, found: dict) -> str:
    """Return the section of `crosskd_step.py`."""
    rows, lines = [], []
    for option, cell in found['cells'].items():
        memory = cell.get('peak_mib', {})
        rows += [
            (
                option,
                variant,
                f'{seconds * 1000:.0f}',
                f'{cell["over_bound"][variant]:.3f}' if variant in cell['over_bound'] else '',
                f'{memory[variant]:.0f}' if variant in memory else '',
            )
            for variant, seconds in cell['seconds'].items()
        ]
        if memory:
            weights = cell['teacher_weights_mib']
            limit = (memory['student'] + weights) * 1.15
            lines = [
                '',
                f"For comparison: the student's peak plus {weights:.0f} MiB of teacher "
                f'weights, plus 15 %, is {limit:.0f} MiB.',
            ]
    settings = found['settings']
    return page_section(
        'Training step of CrossKD',
        f'{_size(settings)}, {settings["rounds"]} rounds. CrossKD runs with the default teacher '
        'options, then with `teacher_compile=True`; in each case four variants take turns. '
        f'mmrazor: {settings["closest"]}. Peak memory is the resident memory of a separate '
        'process. `python benchmarks/run.py crosskd_step`.',
        found,
        *table(['option', 'variant', 'ms per step', 'x bound', 'peak, MiB'], rows),
        *lines,
    )


# What a teacher does on a CPU, and the variants of `teacher_options` without and with it.
_KERNELS = {
    'BN folded': ('plain', 'folded'),
    'backbone and neck in channels_last': ('folded', 'default'),
    "Winograd's algorithm in a compiled head": ('compiled_direct', 'compiled'),
}


def _savings(cells: dict) -> list[str]:
    """Return a table of the part of a step that each acceleration saves."""
    rows = []
    for title, (without, used) in _KERNELS.items():
        times = [cell['seconds'] for cell in cells.values()]
        if all(without in one for one in times):
            rows.append((title, *(f'{1 - one[used] / one[without]:+.1%}' for one in times)))
    return [
        'Part of the step that each acceleration saves. A kernel for CPUs is kept if it saves 3 % '
        'for one of these pairs; folding, which serves every device, is none. Two others were '
        "removed because they did not: packed weights of the head's convolutions, and max-pooling "
        'of a frozen stem by rows and columns.',
        '',
        *table(['acceleration', *cells], rows),
    ]


def teacher_options(name: str, found: dict) -> str:
    """Return the section of `teacher_options.py`."""
    parts = []
    for method, cell in found['cells'].items():
        rows = [
            (
                variant,
                f'{seconds * 1000:.0f}',
                f'{cell["over_bound"][variant]:.3f}' if variant in cell['over_bound'] else '',
            )
            for variant, seconds in cell['seconds'].items()
        ]
        closest = f'; mmrazor: {cell["closest"]}' if 'mmrazor' in cell['seconds'] else ''
        parts += [
            f'{method}: {_size(cell)}, {cell["rounds"]} rounds{closest}.',
            '',
            *table(['variant', 'ms per step', 'x bound'], rows),
            '',
        ]
    return page_section(
        'Training step of each method, by teacher option',
        'The bound uses a teacher without folded BN; with labels from files (`offline`) it is the '
        "student's step alone. `plain` has all options off. `default` folds BN and, on a CPU, runs "
        "the teacher's backbone and neck in channels_last. The options below it are added to the "
        'default; `compiled` is `teacher_compile=True`, `compiled_direct`, where it was measured, '
        "the same without Winograd's algorithm. The plain SCFNet student computes a "
        'boundary loss that training with weak labels does not need, so ratios below 1 are '
        'possible there. '
        '`python benchmarks/run.py teacher_options`.',
        found,
        *parts,
        *_savings(found['cells']),
    )


def peak_memory(name: str, found: dict) -> str:
    """Return the section of `peak_memory.py`."""
    rows: dict = {}
    for key, cell in found['cells'].items():
        method, variant = key.split()
        rows.setdefault(method, {})[variant] = cell['mib']
    head = list(dict.fromkeys(variant for row in rows.values() for variant in row))
    lines = [
        (
            method,
            *(f'{row[variant]:.0f}' if variant in row else '' for variant in head),
            f'{row["ours"] / row["bound"]:.3f}' if {'ours', 'bound'} <= set(row) else '',
        )
        for method, row in rows.items()
    ]
    return page_section(
        'Peak memory of a training step',
        'Resident memory in MiB after two steps, each variant in a separate process; the models '
        'and batches are those of the previous section. `bound`: one process runs the plain '
        "teacher's forward pass and the plain student's step. "
        '`python benchmarks/run.py peak_memory`.',
        found,
        *table(['method', *head, 'ours / bound'], lines),
        disturbed=False,
    )


def checkpoint_size(name: str, found: dict) -> str:
    """Return the section of `checkpoint_size.py`."""
    rows = [
        (method, f'`{cell["config"]}`', *(f'{mib:.2f}' for mib in cell['mib'].values()))
        for method, cell in found['cells'].items()
    ]
    return page_section(
        'Checkpoint size',
        "MiB, without the optimizer's state. mmrazor: its `SingleTeacherDistill`. `python "
        'benchmarks/run.py checkpoint_size`.',
        found,
        *table(['method', 'config', 'plain student', 'DenseDistill', 'mmrazor'], rows),
        disturbed=False,
    )


def growth(name: str, found: dict) -> str:
    """Return the section of `growth.py`."""
    rows = []
    for key, cell in found['cells'].items():
        method = key.split()[0]
        bound = sum(value for part, value in cell['seconds'].items() if part != method)
        rows.append(
            (
                method,
                cell['axis'],
                cell['value'],
                f'{bound * 1000:.0f}',
                f'{cell["seconds"][method] * 1000:.0f}',
                f'{cell["over_bound"][method]:.3f}',
            )
        )
    configs = ', '.join(dict.fromkeys(f'`{cell["config"]}`' for cell in found['cells'].values()))
    return page_section(
        'Scaling of a training step',
        f'The models of {configs}, with one property changed at a time: height of the images '
        '(CrossKD: square; CSKD: 4:3), images per step, pyramid levels, classes, channels of the '
        "student's last feature (the teacher has twice as many), number of teachers. The bound is "
        "the student's step plus the forward pass of every teacher. "
        f'{found["settings"]["rounds"]} rounds, `python benchmarks/run.py growth`.',
        found,
        f'![time of a step relative to its bound]({PLOTS}/{name}.png)',
        '',
        *table(['method', 'axis', 'value', 'bound, ms', 'step, ms', 'x bound'], rows),
    )


def cskd_loss(name: str, found: dict) -> str:
    """Return the section of `cskd_loss.py`."""
    rows = []
    for mode, cell in found['cells'].items():
        memory = cell.get('peak_memory_mib', {})
        rows.append(
            (
                mode,
                *(f'{cell["seconds"][side] * 1000:.0f}' for side in ('loop', 'ours')),
                f'{cell["speedup"]:.2f}',
                *(f'{memory[side]:.0f}' if memory else '' for side in ('loop', 'ours')),
            )
        )
    settings = found['settings']
    student, teacher = settings['channels']
    height, width = settings['size']
    return page_section(
        'Feature loss of CSKD',
        f'Forward and backward at {settings["images"]} x ({student} | {teacher}) x {height} x '
        f"{width}, compared with the tests' plain loop over blocks, {settings['rounds']} rounds, "
        '`python benchmarks/run.py cskd_loss`. Memory: peak of a separate process, minus that of '
        'one which only holds the features.',
        found,
        *table(
            ['convolutions', 'loop, ms', 'ours, ms', 'x faster', 'loop, MiB', 'ours, MiB'], rows
        ),
    )
