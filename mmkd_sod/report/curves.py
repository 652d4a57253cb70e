"""Curves of a study: validation scores and all loss terms."""

from .charts import Series, line_chart, number
from .markup import details, legend, styles_of, table
from .metrics import describe, headline, mean
from .runs import Run, metrics_of
from .scores import TEACHERS, head_metric
from .studies import Study, Variant

_STUDENT = 'student.'
_DISTILL = 'distill.'


def term_of(key: str, distilled: bool) -> tuple[str, str] | None:
    """Return block and title of the chart of a logged name, or None if it is not a loss.

    ``student.loss_cls`` of a distillation and ``loss_cls`` of plain training share a chart.
    """
    if key.startswith(TEACHERS) and 'loss' in key:
        return 'measured', key[len(TEACHERS) :]
    if key.startswith(_DISTILL):
        return 'distill', key[len(_DISTILL) :]
    if 'loss' not in key:
        return None
    if key == 'loss':
        return 'total', 'loss (with distillation terms)' if distilled else 'loss'
    return 'student', key.removeprefix(_STUDENT)


def _terms(variants: list[Variant], styles: dict) -> dict[str, dict[str, list[Series]]]:
    """Return the series by block and title."""
    blocks: dict[str, dict[str, list[Series]]] = {}
    for variant in variants:
        for run in variant.runs:
            series: dict[tuple, Series] = {}
            for step, record in run.train.items():
                for key, value in record.items():
                    place = term_of(key, variant.role == 'distilled')
                    if place is None or not isinstance(value, (int, float)):
                        continue
                    if place not in series:
                        name = variant.name + ('' if run.seed is None else f', seed {run.seed}')
                        style = 's-teacher' if place[0] == 'measured' else styles[variant.name]
                        series[place] = Series(name, style)
                    series[place].points[step] = float(value)
            for (block, title), one in series.items():
                blocks.setdefault(block, {}).setdefault(title, []).append(one)
    return blocks


def _ends(terms: dict[str, list[Series]]) -> str:
    """Return a table of the first and last value of every curve."""
    names = list(dict.fromkeys(one.name for series in terms.values() for one in series))

    def cell(series: list[Series], name: str) -> str:
        points = next((one.points for one in series if one.name == name), None)
        if not points:
            return '–'
        return f'{number(points[min(points)])} → {number(points[max(points)])}'

    return details(
        'As a table',
        table(
            'First and last logged value',
            ['run', *terms],
            [([name, *(cell(series, name) for series in terms.values())], '') for name in names],
        ),
    )


def _block(title: str, text: str, terms: dict[str, list[Series]] | None, tag: str = '') -> str:
    if not terms:
        return ''
    charts = ''.join(line_chart(name, series, 'iteration') for name, series in terms.items())
    tag = f'<span class="tag">{tag}</span>' if tag else ''
    return (
        f'<h4>{tag}{title}</h4><p class="soft">{text}</p><div class="charts">{charts}</div>'
        f'{_ends(terms)}'
    )


def _validation(study: Study, styles: dict, wanted: str | None) -> str:
    """Return charts of the validation scores, with the teachers' final scores as lines."""
    metric = head_metric(study, 'val', wanted)
    if metric is None:
        return ''
    keys = list(
        dict.fromkeys(
            key for run in study.runs for record in run.val.values() for key in metrics_of(record)
        )
    )
    whole = [key for key in keys if describe(key).group is None and not key.startswith(TEACHERS)]
    first = headline(whole, metric.key) or metric.key
    shown = [first, *(key for key in whole if key != first)][:3]
    students = [variant for variant in study.variants if variant.role != 'teacher']
    lines = students or study.variants
    charts = []
    for key in shown:
        metric = describe(key)
        series = [
            _scores_of(variant, run, key, styles) for variant in lines for run in variant.runs
        ]
        # mmrazor's validation loop also evaluates the teacher.
        references = []
        for teacher in study.of('teacher') if students else ():
            final = teacher.values('val', key)
            if final:
                references.append((f'{teacher.name}, final', styles[teacher.name], mean(final)))
        logged = [
            value
            for variant in lines
            for run in variant.runs
            for value in [run.val[max(run.val)].get(TEACHERS + key) if run.val else None]
            if value is not None
        ]
        if logged and not references:
            references.append(('Teacher, as measured in distillation', 's-teacher', mean(logged)))
        by_epoch = all(run.by_epoch for variant in lines for run in variant.runs)
        hint = ' (lower is better)' if metric.less_is_better else ''
        charts.append(
            line_chart(
                metric.name + hint,
                series,
                'epoch' if by_epoch else 'iteration',
                references,
                metric.scale,
            )
        )
    level = (
        " The dotted line is the teacher's final score."
        if any('class="reference' in chart for chart in charts)
        else ''
    )
    return (
        '<h4>Scores on the validation split</h4><p class="soft">One line per run.'
        f'{level}</p><div class="charts">{"".join(charts)}</div>'
    )


def _scores_of(variant: Variant, run: Run, key: str, styles: dict) -> Series:
    name = variant.name + ('' if run.seed is None else f', seed {run.seed}')
    return Series(
        name,
        styles[variant.name],
        {step: float(record[key]) for step, record in run.val.items() if key in record},
        dots=True,
    )


def curve_blocks(study: Study, wanted: str | None = None) -> str:
    """Return the charts of a study's logs.

    Args:
        study (Study): The runs.
        wanted (str, optional): Logged name of the main score.

    Returns:
        str: HTML; empty if there are no logs.
    """
    styles = styles_of(study)
    teachers = study.of('teacher')
    students = [variant for variant in study.variants if variant.role != 'teacher']
    terms = _terms(students, styles)
    own = _terms(teachers, styles)
    blocks = [
        _validation(study, styles, wanted),
        _block(
            'Task loss terms',
            'Losses of plain training and the same terms of the distilled '
            'student. Faint: as logged; strong: running mean; first values far above the others '
            'are clipped.',
            terms.get('student'),
        ),
        _block(
            'Distillation terms',
            'Terms of the distiller, with their weights.',
            terms.get('distill'),
        ),
        _block(
            'Total loss',
            'The totals of plain and distilled training have different terms and '
            'cannot be compared.',
            terms.get('total'),
        ),
        _block(
            'Losses of the teacher during distillation',
            'Logged as <code>teacher.*</code> in '
            "the student's run; losses of the teacher, not of the student.",
            terms.get('measured'),
            'teacher',
        ),
    ]
    teachers_own = _block(
        "The teacher's own training",
        'Not comparable with the curves above: another network and often another schedule.',
        {**own.get('student', {}), **own.get('total', {})},
        'teacher',
    )
    if teachers_own:
        blocks.append(f'<div class="teacher-block">{teachers_own}</div>')
    if not any(blocks):
        return ''
    return (
        '<h3>Curves</h3>'
        + legend((name, style) for name, style in styles.items())
        + ''.join(blocks)
    )
