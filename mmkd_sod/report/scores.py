"""Final scores of a study: tiles, tables, and gains by subset of the data."""

from dataclasses import replace
from html import escape

from .charts import Row, row_chart
from .markup import details, styles_of, table
from .metrics import Metric, describe, gains, headline, mean, with_std
from .studies import Study, Variant

_SPLITS = dict(test='test split', val='validation split, last checkpoint')
# Prefix of the teacher's scores in mmrazor's validation loop.
TEACHERS = 'teacher.'


def keys_of(study: Study, split: str) -> list[str]:
    """Return the scores of the study's runs on a split, in the order of the logs."""
    found: dict[str, None] = {}
    for run in study.runs:
        found.update(
            dict.fromkeys(key for key in run.scores(split) if not key.startswith(TEACHERS))
        )
    return list(found)


def _save_best(study: Study) -> str | None:
    for run in study.runs:
        best = ((run.cfg.get('default_hooks') or {}).get('checkpoint') or {}).get('save_best')
        if isinstance(best, str) and best != 'auto':
            return best
    return None


def head_metric(study: Study, split: str, wanted: str | None = None) -> Metric | None:
    """Return the main score of the study."""
    key = headline(keys_of(study, split), wanted or _save_best(study))
    return None if key is None else describe(key)


def main_split(study: Study) -> str | None:
    """Return the test split if every variant was tested, else the validation split."""
    for split in _SPLITS:
        if all(any(run.scores(split) for run in variant.runs) for variant in study.variants):
            return split
    return next((split for split in _SPLITS if keys_of(study, split)), None)


def _seed(seed) -> str:
    return 'seed unknown' if seed is None else f'seed {seed}'


def _labelled(variant: Variant, split: str, metric: Metric) -> list[tuple[str, float]]:
    """Return (seed, displayed value) of every run."""
    return [
        (_seed(seed), value * metric.scale)
        for seed, values in variant.by_seed(split, metric.key).items()
        for value in values
    ]


def _count(values, what: str = 'run') -> str:
    return f'{len(values)} {what}{"" if len(values) == 1 else "s"}'


def _tiles(study: Study, split: str, metric: Metric) -> str:
    """Return one tile per variant and one per gain over the plain student."""
    styles, tiles = styles_of(study), []

    def tile(style: str, what: str, number: str, small: str) -> None:
        tiles.append(
            f'<div class="tile {style}" style="--tone:var(--c)"><span class="what">'
            f'{escape(what)}</span><b>{escape(number)}</b><small>{escape(small)}</small>'
            '</div>'
        )

    roles = dict(
        teacher='teacher', plain='student without distillation', distilled='distilled student'
    )
    for variant in study.variants:
        values = variant.values(split, metric.key)
        if values:
            std = with_std(metric, values).partition(' ± ')[2]
            small = _count(values) + (f', ± {std}' if std else '')
            what = (
                f'{variant.name} · {roles[variant.role]}'
                if variant.role != 'teacher'
                else (variant.name)
            )
            tile(styles[variant.name], what, metric.show(mean(values)), small)
    for plain in study.of('plain')[:1]:
        for variant in study.of('distilled'):
            differences, paired = gains(
                *(one.by_seed(split, metric.key) for one in (variant, plain))
            )
            if differences:
                small = 'difference of means'
                if paired:
                    std = with_std(metric, differences).partition(' ± ')[2]
                    small = f'paired by seed, {_count(differences, "pair")}' + (
                        f', ± {std}' if std else ''
                    )
                tile(
                    styles[variant.name],
                    f'{variant.name} over plain',
                    metric.show(mean(differences), sign=True),
                    small,
                )
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _score_table(study: Study, split: str) -> str:
    """Return a table of means and standard deviations of scores, and of the gains."""
    metrics = [metric for metric in map(describe, keys_of(study, split)) if metric.group is None]
    if not metrics:
        return ''
    head = [
        '',
        'runs',
        *(metric.name + (' ↓' if metric.less_is_better else '') for metric in metrics),
    ]
    rows = []
    plain = next(iter(study.of('plain')), None)
    for variant in study.variants:
        count = sum(bool(run.scores(split)) for run in variant.runs)
        cells = [variant.name, str(count)]
        cells += [with_std(metric, variant.values(split, metric.key)) for metric in metrics]
        rows.append((cells, ''))
        if variant.role == 'distilled' and plain is not None:
            cells = ['− plain', '']
            for metric in metrics:
                differences, _ = gains(
                    variant.by_seed(split, metric.key), plain.by_seed(split, metric.key)
                )
                text = with_std(metric, differences, sign=True)
                better = metric.better(mean(differences)) if differences else None
                worse = better is False and mean(differences) != 0
                cells.append((text, 'good' if better else 'bad' if worse else ''))
            rows.append((cells, 'gain'))
    std = (
        ' Mean ± sample standard deviation over runs.'
        if any(len(variant.runs) > 1 for variant in study.variants)
        else ''
    )
    arrow = ' ↓: lower is better.' if any(metric.less_is_better for metric in metrics) else ''
    return table(f'On the {_SPLITS[split]}.{std}{arrow}', head, rows)


def _dots(study: Study, split: str, metric: Metric) -> str:
    """Return a chart of the main score of every run."""
    styles, rows = styles_of(study), []
    for variant in study.variants:
        values = variant.values(split, metric.key)
        if values:
            rows.append(
                Row(
                    variant.name,
                    styles[variant.name],
                    _labelled(variant, split, metric),
                    with_std(metric, values),
                )
            )
    hint = ' (lower is better)' if metric.less_is_better else ''
    return row_chart(
        f'{metric.name} on the {_SPLITS[split]}: one dot per run, bar: mean',
        rows,
        metric.name + hint,
    )


def _gain_rows(
    variant: Variant, plain: Variant, split: str, metrics: list[Metric], style: str
) -> tuple[list[Row], list[tuple]]:
    rows, lines = [], []
    for metric in metrics:
        ours, base = (one.by_seed(split, metric.key) for one in (variant, plain))
        differences, paired = gains(ours, base)
        if not differences:
            continue
        labels = [_seed(seed) for seed in ours if seed in base] if paired else ['means']
        text = with_std(metric, differences, sign=True)
        rows.append(
            Row(
                metric.member or '',
                style,
                [
                    (label, value * metric.scale)
                    for label, value in zip(labels, differences, strict=True)
                ],
                text,
            )
        )
        good = metric.better(mean(differences))
        lines.append(
            (
                [
                    metric.member,
                    *(with_std(metric, one.values(split, metric.key)) for one in (plain, variant)),
                    (text, 'good' if good else 'bad' if mean(differences) else ''),
                ],
                '',
            )
        )
    return rows, lines


def _gain_blocks(study: Study, split: str) -> str:
    """Return the gains over the plain student by object size, class or data set, if logged."""
    plain = next(iter(study.of('plain')), None)
    distilled = study.of('distilled')
    groups: dict[tuple, list[Metric]] = {}
    for metric in map(describe, keys_of(study, split)):
        if metric.group is not None:
            name = metric.name.split(' ')[0] if metric.group == 'object size' else metric.name
            groups.setdefault((metric.group, name), []).append(replace(metric, name=name))
    if plain is None or not distilled or not groups:
        return ''
    styles, blocks = styles_of(study), []
    for (group, name), metrics in groups.items():
        for variant in distilled:
            rows, lines = _gain_rows(variant, plain, split, metrics, styles[variant.name])
            if rows:
                less = ' (lower is better)' if metrics[0].less_is_better else ''
                blocks.append(
                    row_chart(
                        f'{name} by {group}: {variant.name} − {plain.name}',
                        rows,
                        f'difference in {name}{less}',
                        bars=True,
                    )
                )
                blocks.append(
                    details(
                        'As a table',
                        table(
                            f'{name} by {group} on the {_SPLITS[split]}',
                            [group, plain.name, variant.name, 'difference'],
                            lines,
                        ),
                    )
                )
    return (
        (
            '<h3>Gains over the plain student</h3><p class="soft">Bars are mean differences, dots '
            f'single seeds. On the {_SPLITS[split]}.</p>' + ''.join(blocks)
        )
        if blocks
        else ''
    )


def score_blocks(study: Study, wanted: str | None = None) -> str:
    """Return the final scores of a study as HTML, or a note if there are none.

    Args:
        study (Study): The runs.
        wanted (str, optional): Logged name of the main score.
    """
    split = main_split(study)
    metric = None if split is None else head_metric(study, split, wanted)
    if split is None or metric is None:
        return '<h3>Final scores</h3><p class="note">No run has logged a score yet.</p>'
    direction = 'lower is better' if metric.less_is_better else 'higher is better'
    tables = ''.join(_score_table(study, one) for one in _SPLITS if keys_of(study, one))
    return (
        f'<p class="soft">{escape(metric.name)} on the {_SPLITS[split]}; {direction}.</p>'
        + _tiles(study, split, metric)
        + '<h3>Final scores</h3>'
        + _dots(study, split, metric)
        + f'<div class="tables">{tables}</div>'
        + _gain_blocks(study, split)
    )
