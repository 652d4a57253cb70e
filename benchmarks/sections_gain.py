"""The section on gains of benchmarks/README.md."""

from page_parts import PLOTS, page_section, table

from mmkd_sod.report.metrics import describe


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
