"""The sections of benchmarks/README.md, each from one json file."""

from mmkd_sod.report.metrics import describe

PLOTS = 'plots'


def table(head: list, rows: list) -> list[str]:
    """Return the lines of a Markdown table."""
    return [f'| {" | ".join(map(str, row))} |' for row in (head, ['---'] * len(head), *rows)]


def machine_line(found: dict) -> str:
    """Return processor, threads and torch version as one line."""
    machine = found['machine']
    gpu = f'{machine["gpu"]}, ' if 'gpu' in machine else ''
    return f'{gpu}{machine["cpu"]}, threads: {machine["threads"]}, torch {machine["torch"]}.'


def page_section(title: str, text: str, found: dict, *lines: str, disturbed: bool = True) -> str:
    """Return a section: title, what was measured on which machine, tables."""
    text = f'{text} {machine_line(found)}'
    cells = found.get('cells', {})
    others = [cell.get('other_processors') for cell in cells.values()]
    others = [number for number in others if number is not None]
    if others and disturbed:
        text += f' Load from other programs: {min(others):.2f} to {max(others):.2f} processors.'
    return '\n'.join([f'## {title}', '', text, '', *lines, ''])


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


def saliency_inference(name: str, found: dict) -> str:
    """Return the section of `saliency_inference.py`."""
    (cell,) = found['cells'].values()
    settings = found['settings']
    rows = [(variant, f'{rate:.1f}') for variant, rate in cell['images_per_second'].items()]
    return page_section(
        'Inference of a saliency network on one core',
        f'SCFNet on MobileNetV3, 0.80 M parameters, {settings["side"]} x {settings["side"]}, from '
        f'decoded images to maps, {settings["rounds"]} rounds, `python benchmarks/run.py '
        f'saliency_inference`. ONNX and torch differ by at most {cell["onnx_differs_by"]:.0e}.',
        found,
        *table(['runtime, batch size', 'images per second'], rows),
    )


def data_throughput(name: str, found: dict) -> str:
    """Return the section of `data_throughput.py`."""
    rows = [
        (f'`configs/demo/{key}.py`', cell['images'], f'{cell["images_per_second"]:.1f}')
        for key, cell in found['cells'].items()
    ]
    return page_section(
        'Training pipelines',
        'From file to packed sample, in one process without workers, with files in the page '
        f'cache. Median of {found["settings"]["rounds"]} rounds, `python benchmarks/run.py '
        'data_throughput`.',
        found,
        *table(['training set of', 'images', 'images per second'], rows),
    )


def sod_evaluation(name: str, found: dict) -> str:
    """Return the section of `sod_evaluation.py`."""
    (cell,) = found['cells'].values()
    height, width = found['settings']['size']
    rows = [
        ('SODMetric', cell['seconds']['ours'], f'{cell["over_loop"]:.3f}'),
        ('PySODMetrics in a loop', cell['seconds']['loop'], '1'),
    ]
    return page_section(
        'Evaluation of saliency maps',
        f'{cell["maps"]} maps of {height} x {width}: MAE, S-measure, weighted F, F and E. Scores '
        f'differ by {cell["scores_differ_by"]:.0e}. `python benchmarks/run.py sod_evaluation`.',
        found,
        *table(['', f'seconds for {cell["maps"]} maps', 'ratio'], rows),
    )


def mmcv_ops(name: str, found: dict) -> str:
    """Return the section of `mmcv_ops.py`."""
    rows = [
        (
            operator,
            *(f'{cell["seconds"][key] * 1000:.1f}' for key in ('plain', 'compiled')),
            f'{cell["over_compiled"]:.3f}',
            f'{cell["results_differ_by"]:.0e}',
        )
        for operator, cell in found['cells'].items()
    ]
    return page_section(
        "mmcv's operators in plain torch",
        'Compared with a compiled mmcv, below the same functions of mmcv, taking turns; all but '
        "NMS with their gradients. The last two rows run the BCCD demo's CrossKD and its student, "
        'with random images and weights; the test has no score threshold, which gives NMS more '
        'boxes than a trained student. Differences are relative to the largest value. Median of '
        f'{found["settings"]["rounds"]} rounds, `python benchmarks/run.py mmcv_ops`.',
        found,
        *table(['', 'ms in plain torch', 'ms compiled', 'ratio', 'results differ by'], rows),
    )


def start_up(name: str, found: dict) -> str:
    """Return the section of `start_up.py`."""
    rows = [
        (
            f'from command to the first logged step, {what}' if key == 'first step' else what,
            f'{seconds:.2f}',
        )
        for key, cell in found['cells'].items()
        for what, seconds in cell['seconds'].items()
    ]
    return page_section(
        'Start-up time',
        'Each measured in a new process, taking turns. Both trainers run the plain student of '
        "`configs/demo/scenes_gfl_student.py`, mmdet's train.py without mmkd_sod. Median of "
        f'{found["settings"]["rounds"]} rounds, `python benchmarks/run.py start_up`.',
        found,
        *table(['', 'seconds'], rows),
    )


def _spread(metric, pair, sign: bool = False) -> str:
    average, deviation = pair
    text = metric.show(average, sign)
    return text if deviation is None else f'{text} ± {metric.show(deviation)}'


def _gain_rows(group: str, part: dict) -> list[tuple]:
    settings = part['settings']
    rows = []
    for method, lengths in part['gains'].items():
        for epochs, cell in lengths.items():
            for key in settings['metrics']:
                metric, one = describe(key), cell[key]
                exceeds = {True: 'yes', False: 'no', None: ''}[one['exceeds']]
                rows.append(
                    (
                        group,
                        method,
                        epochs,
                        one['seeds'],
                        metric.name + (' ↓' if metric.less_is_better else ''),
                        _spread(metric, one['plain']),
                        _spread(metric, one['distilled']),
                        _spread(metric, one['gain'], sign=True),
                        exceeds,
                    )
                )
    return rows


def gain(name: str, found: dict) -> str:
    """Return the section of `gain.py`."""
    rows, teachers = [], []
    for group, part in found['sets'].items():
        rows += _gain_rows(group, part)
        settings = part['settings']
        epochs = str(settings['teacher_epochs'])
        scores = part['scores'].get('teacher', {}).get(epochs, {})
        key = settings['metrics'][0]
        configs = ', '.join(
            f'`{config}`'
            for config in (
                settings['teacher'],
                settings['student'],
                *settings['distilled'].values(),
            )
        )
        teachers.append(
            (
                group,
                configs,
                epochs,
                describe(key).name,
                ', '.join(describe(key).show(one[key]) for _, one in sorted(scores.items())),
            )
        )
    lines = table(['set', 'configs', 'teacher epochs', 'metric', 'teachers by seed'], teachers)
    if rows:
        lines += [
            '',
            f'![gains]({PLOTS}/{name}.png)',
            '',
            *table(
                [
                    'set',
                    'method',
                    'epochs',
                    'seeds',
                    'metric',
                    'plain',
                    'distilled',
                    'gain',
                    'gain > 1 std',
                ],
                rows,
            ),
        ]
    return page_section(
        'Gains',
        'Test scores of the last checkpoint of plain and distilled students, trained from random '
        'weights with the same number of epochs and the same seed; they differ only in the '
        'distiller. Each seed has its own teacher. Mean ± sample standard deviation over seeds. '
        'The gain is the mean of the differences per seed, positive if the distilled student is '
        'better; the last column tells whether it exceeds one standard deviation of these '
        'differences. `python benchmarks/run.py gain`.',
        found,
        *lines,
    )


SECTIONS = dict(
    gain=gain,
    crosskd_step=crosskd_step,
    teacher_options=teacher_options,
    peak_memory=peak_memory,
    growth=growth,
    checkpoint_size=checkpoint_size,
    cskd_loss=cskd_loss,
    data_throughput=data_throughput,
    sod_evaluation=sod_evaluation,
    saliency_inference=saliency_inference,
    start_up=start_up,
    mmcv_ops=mmcv_ops,
)
