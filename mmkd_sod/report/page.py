"""The page: one self-contained HTML file with style, charts and pictures."""

from datetime import datetime
from html import escape
from pathlib import Path

from mmkd_sod.version import __version__

from .curves import curve_blocks
from .markup import details, note, styles_of, table
from .metrics import mean
from .predictions import Gallery
from .scores import score_blocks
from .studies import Study

_STYLE = Path(__file__).with_name('style.css')
_KINDS = dict(boxes='Boxes', classes='Class masks', saliency='Saliency as a tint')


def gallery_block(found: Gallery, styles: dict, score_thr: float) -> str:
    """Return the pictures of a gallery side by side, with one row per image."""
    notes = ''.join(note(text) for text in found.notes)
    if not found.columns:
        return f'<h3>Predictions</h3>{notes}' if notes else ''
    seed = '' if found.seed is None else f' by the runs of seed {found.seed}'
    boxes = f' with a score of at least {score_thr:g}' if found.kind == 'boxes' else ''
    swatches = ''.join(
        f'<li><i style="background:{color}"></i>{escape(name)}</li>'
        for name, color in found.classes
    )
    swatches = f'<ul class="legend">{swatches}</ul>' if swatches else ''
    cells = [f'<b class="{styles.get(title, "")}">{escape(title)}</b>' for title in found.columns]
    for row, name in enumerate(found.names):
        for title, pictures in found.columns.items():
            text = escape(f'{title}, {name}', quote=True)
            cells.append(f'<img alt="{text}" title="{text}" src="{pictures[row]}">')
    return (
        f'<h3>Predictions</h3><p class="soft">{_KINDS[found.kind]}{boxes}{seed}, on '
        f'{len(found.names)} evenly spaced images of the test split.</p>{swatches}'
        f'<div class="gallery" style="grid-template-columns:repeat({len(found.columns)},'
        f'minmax(180px,1fr))">{"".join(cells)}</div>{notes}'
    )


def _runs_block(study: Study) -> str:
    """Return a table of the runs."""
    rows = []
    for variant in study.variants:
        for run in variant.runs:
            last = run.train[max(run.train)] if run.train else {}
            length = (
                f'{last["epoch"]} epochs'
                if 'epoch' in last
                else (f'{max(run.train)} iterations' if run.train else '–')
            )
            seconds = mean(record['time'] for record in run.train.values() if 'time' in record)
            checkpoint = '–' if run.checkpoint is None else run.checkpoint.name
            rows.append(
                (
                    [
                        str(run.path),
                        (variant.name, 'left'),
                        '–' if run.seed is None else str(run.seed),
                        length,
                        '–' if seconds != seconds else f'{seconds:.2f} s',
                        (checkpoint, 'left'),
                        (f'{run.config_name}.py', 'left'),
                    ],
                    '',
                )
            )
    return details(
        f'The {len(rows)} runs of this section',
        table(
            'Work directories, and mean time of a training step',
            ['folder', 'as', 'seed', 'trained', 'step', 'checkpoint', 'config'],
            rows,
        ),
    )


def render(
    studies: list[Study],
    galleries: list[Gallery],
    title: str,
    notes=(),
    wanted: str | None = None,
    score_thr: float = 0.3,
    date: datetime | None = None,
) -> str:
    """Return the HTML page, without network access or scripts, with a light and a dark theme.

    Args:
        studies (list[Study]): Studies, one section each.
        galleries (list[Gallery]): Pictures of each study.
        title (str): Title of the page.
        notes (Sequence[str]): Notes at the top.
        wanted (str, optional): Logged name of the main score.
        score_thr (float): Minimum score of the boxes in the pictures.
        date (datetime, optional): Date of the page; default: now.
    """
    date = date or datetime.now()
    sections = []
    for study, found in zip(studies, galleries, strict=True):
        head = f'<h2>{escape(study.name)}</h2>' if len(studies) > 1 else ''
        sections.append(
            f'<section>{head}{score_blocks(study, wanted)}'
            f'{gallery_block(found, styles_of(study), score_thr)}'
            f'{curve_blocks(study, wanted)}<h3>Runs</h3>{_runs_block(study)}</section>'
        )
    count = sum(len(study.runs) for study in studies)
    themes = ''.join(
        f'<label><input type="radio" name="theme" id="{name}"{" checked" * (name == "auto")}>'
        f'<span>{name.capitalize()}</span></label>'
        for name in ('auto', 'light', 'dark')
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{escape(title)}</title>
<style>
{_STYLE.read_text(encoding='utf-8')}</style>
</head>
<body>
<header class="page"><div><h1>{escape(title)}</h1>
<p class="soft">{count} runs · {date:%Y-%m-%d %H:%M} · mmkd_sod {__version__}</p></div>
<fieldset aria-label="Theme">{themes}</fieldset></header>
<main>{''.join(note(text) for text in notes)}{''.join(sections)}</main>
<footer>Written by <code>python -m mmkd_sod report</code>. The dumped configs decide which runs are
teacher, plain or distilled; standard deviations over few seeds are rough estimates.</footer>
</body>
</html>
"""
