"""Elements of the page: tables, legends, notes."""

from collections.abc import Iterable, Sequence
from html import escape

from .studies import Study

_ROLE_STYLES = dict(teacher='s-teacher', plain='s-plain', distilled='s-distilled')
_SPARE = ('s-other1', 's-other2', 's-other3')


def styles_of(study: Study) -> dict[str, str]:
    """Return the CSS class of each variant: that of its role, or a spare one if it is taken."""
    styles, taken, spare = {}, set(), 0
    for variant in study.variants:
        style = _ROLE_STYLES[variant.role]
        if style in taken:
            style = _SPARE[spare % len(_SPARE)]
            spare += 1
        taken.add(style)
        styles[variant.name] = style
    return styles


def note(text: str) -> str:
    """Return a note as a paragraph."""
    return f'<p class="note">{escape(text)}</p>'


def legend(names: Iterable[tuple[str, str]]) -> str:
    """Return a legend of lines from (name, CSS class)."""
    items = ''.join(
        f'<li><svg viewBox="0 0 34 10" aria-hidden="true"><path class="curve {style}" '
        f'd="M1 5L33 5"/></svg>{escape(name)}</li>'
        for name, style in names
    )
    return f'<ul class="legend">{items}</ul>'


def table(caption: str, head: Sequence[str], rows: Iterable[tuple]) -> str:
    """Return a table with a header row and a header column.

    Args:
        caption (str): Caption.
        head (Sequence[str]): Titles of the columns.
        rows (Iterable[tuple]): ``(cells, css class of the row)``; a cell is text or ``(text, css
            class)``.
    """
    lines = []
    for cells, kind in rows:
        cells = [cell if isinstance(cell, tuple) else (cell, '') for cell in cells]
        first = f'<th scope="row">{escape(cells[0][0])}</th>'
        others = ''.join(f'<td class="{css}">{escape(text)}</td>' for text, css in cells[1:])
        lines.append(f'<tr class="{kind}">{first}{others}</tr>')
    titles = ''.join(f'<th scope="col">{escape(title)}</th>' for title in head)
    return (
        f'<div class="scroll"><table><caption>{escape(caption)}</caption><thead><tr>{titles}'
        f'</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'
    )


def details(summary: str, body: str) -> str:
    """Return a collapsed block."""
    return f'<details><summary>{escape(summary)}</summary>{body}</details>'
