"""Charts as inline SVG: curves, dots of single runs, and bars of gains.

The style sheet of the page sets the colour of a series by its class (``s-teacher``, ``s-plain``,
``s-distilled``, ...) for light and dark themes.
"""

import math
from dataclasses import dataclass, field
from html import escape

from mmkd_sod.visualization.curves import running_mean

_WIDTH, _HEIGHT = 380, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 12, 34
_MOST_POINTS = 240
_SMOOTHING = 0.04  # half-width of the running mean, relative to the number of points


@dataclass
class Series:
    """A line of a chart.

    Attributes:
        name (str): Name in tooltips.
        style (str): CSS class of its colour.
        points (dict[float, float]): y by x.
        dots (bool): Whether to mark every point; else a smoothed line is drawn over the faint raw
            one.
    """

    name: str
    style: str
    points: dict = field(default_factory=dict)
    dots: bool = False


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Return about ``count`` round numbers that cover ``low`` to ``high``."""
    if not high > low:
        pad = abs(low) * 0.1 or 1.0
        low, high = low - pad, high + pad
    raw = (high - low) / max(1, count - 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def number(value: float) -> str:
    """Format the number of a tick, with a typographic minus sign."""
    size = abs(value)
    if size >= 10000:
        return f'{value / 1000:g}k'.replace('-', '−')
    return f'{value:.4g}'.replace('-', '−')


def thin(points: list[tuple], most: int = _MOST_POINTS) -> list[tuple]:
    """Average neighbouring points so that at most ``most`` points remain."""
    if len(points) <= most:
        return points
    width = math.ceil(len(points) / most)
    bins = [points[start : start + width] for start in range(0, len(points), width)]
    return [
        tuple(sum(values) / len(values) for values in zip(*group, strict=True)) for group in bins
    ]


def _finite(series: Series) -> list[tuple]:
    return [(x, y) for x, y in sorted(series.points.items()) if math.isfinite(y)]


def _y_range(all_series: list[Series], extra) -> tuple[float, float]:
    """Return the range of the values, without first losses far above all others."""
    values, first = list(extra), []
    for series in all_series:
        points = [y for _, y in _finite(series)]
        head = max(1, len(points) // 20) if not series.dots and len(points) > 10 else 0
        first += points[:head]
        values += points[head:]
    if first and (not values or max(first) <= 2 * max(values)):
        values += first
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    return (0.0 if 0 < low < 0.4 * high else low), high


def line_chart(
    title: str, series: list[Series], x_label: str, references=(), y_scale: float = 1.0
) -> str:
    """Return a chart of curves over steps or epochs.

    Args:
        title (str): Title, also for screen readers.
        series (list[Series]): The lines.
        x_label (str): Label of x.
        references (Sequence[tuple]): (name, style, y) of horizontal lines.
        y_scale (float): Factor of all values.

    Returns:
        str: A ``figure`` element.
    """
    series = [
        Series(one.name, one.style, {x: y * y_scale for x, y in one.points.items()}, one.dots)
        for one in series
        if one.points
    ]
    references = [(name, style, y * y_scale) for name, style, y in references if math.isfinite(y)]
    steps = [x for one in series for x in one.points]
    x_ticks = nice_ticks(0, max(steps, default=1), 5)
    low, high = _y_range(series, [y for _, _, y in references])
    y_ticks = nice_ticks(low, high)
    x_end = max(steps, default=1)
    x_ticks = [tick for tick in x_ticks if 0 <= tick <= x_end * 1.001]

    def at(x: float, y: float) -> tuple[float, float]:
        across = _LEFT + (_WIDTH - _LEFT - _RIGHT) * x / x_end
        share = (y - y_ticks[0]) / (y_ticks[-1] - y_ticks[0])
        return across, _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * share

    parts = []
    for tick in y_ticks:
        y = at(0, tick)[1]
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" '
            f'y2="{y:.1f}"/><text x="{_LEFT - 6}" y="{y + 3.5:.1f}" '
            f'text-anchor="end">{number(tick)}</text>'
        )
    bottom = _HEIGHT - _BOTTOM
    parts.append(
        f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{bottom}" y2="{bottom}"/>'
    )
    for tick in x_ticks:
        x = at(tick, y_ticks[0])[0]
        parts.append(
            f'<text x="{x:.1f}" y="{bottom + 14}" text-anchor="middle">{number(tick)}</text>'
        )
    parts.append(
        f'<text class="label" x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 4}" '
        f'text-anchor="middle">{escape(x_label)}</text>'
    )
    for name, style, y in references:
        height = at(0, y)[1]
        parts.append(
            f'<line class="reference {style}" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" '
            f'y1="{height:.1f}" y2="{height:.1f}"><title>{escape(name)}: {number(y)}'
            '</title></line>'
        )
    # The inner svg clips curves above the frame, with a margin for dots on it.
    inside = (_WIDTH - _LEFT - _RIGHT + 10, _HEIGHT - _TOP - _BOTTOM + 10)
    frame = f'{_LEFT - 5} {_TOP - 5} {inside[0]} {inside[1]}'
    parts.append(
        f'<svg x="{_LEFT - 5}" y="{_TOP - 5}" width="{inside[0]}" height="{inside[1]}" '
        f'viewBox="{frame}">{"".join(_curve(one, at) for one in series)}</svg>'
    )
    spoken = '; '.join(
        f'{one.name} ends at {number(_finite(one)[-1][1])}' for one in series if _finite(one)
    )
    broken = sorted({one.name for one in series if len(_finite(one)) < len(one.points)})
    note = (
        f'<p class="warn">NaN or infinite at some steps: {escape(", ".join(broken))}.</p>'
        if broken
        else ''
    )
    return _figure(title, spoken, ''.join(parts), _WIDTH, _HEIGHT, note)


def _path(points: list[tuple], at) -> str:
    return 'M' + 'L'.join(f'{x:.1f} {y:.1f}' for x, y in (at(*point) for point in points))


def _curve(one: Series, at) -> str:
    """Return a line with dots, or a smoothed line over the faint raw one."""
    points = thin(_finite(one))
    if not points:
        return ''
    tip = f'<title>{escape(one.name)}: {number(points[-1][1])} at the end</title>'
    if one.dots or len(points) < 3:
        circles = ''.join(
            f'<circle class="{one.style}" cx="{x:.1f}" cy="{y:.1f}" r="3.2"><title>'
            f'{escape(one.name)}: {number(value)} at {number(step)}</title></circle>'
            for (x, y), (step, value) in ((at(*point), point) for point in points)
        )
        return f'<path class="curve {one.style}" d="{_path(points, at)}">{tip}</path>{circles}'
    smooth = running_mean([y for _, y in points], max(1, round(_SMOOTHING * len(points))))
    smooth = list(zip([x for x, _ in points], smooth, strict=True))
    return (
        f'<path class="raw {one.style}" d="{_path(points, at)}"/>'
        f'<path class="curve {one.style}" d="{_path(smooth, at)}">{tip}</path>'
    )


def _figure(title: str, spoken: str, body: str, width: int, height: int, note: str = '') -> str:
    described = f'{title}. {spoken}.' if spoken else title
    return (
        f'<figure class="chart"><figcaption>{escape(title)}</figcaption>'
        f'<svg viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(described, quote=True)}">{body}</svg>{note}</figure>'
    )


@dataclass
class Row:
    """A row of a dot or bar chart.

    Attributes:
        name (str): Label on the left.
        style (str): CSS class of its colour.
        values (list[tuple[str, float]]): Label and value of every run.
        text (str): Text on the right, such as mean ± standard deviation.
    """

    name: str
    style: str
    values: list
    text: str


_ROW, _LABEL, _TEXT = 34, 132, 96


def row_chart(title: str, rows: list[Row], x_label: str, bars: bool = False) -> str:
    """Return a chart with one dot per run and the mean as a tick, or as a bar from zero.

    Args:
        title (str): Title.
        rows (list[Row]): The rows, with values in the shown unit.
        x_label (str): Label of the values.
        bars (bool): Whether to draw the mean as a bar, for differences.

    Returns:
        str: A ``figure`` element.
    """
    width, height = 640, 30 + _ROW * len(rows) + 22
    numbers = [value for row in rows for _, value in row.values]
    low, high = min(numbers), max(numbers)
    if bars:
        low, high = min(0.0, low), max(0.0, high)
    ticks = nice_ticks(low, high, 6)
    left, right = _LABEL + 8, width - _TEXT - 14

    def across(value: float) -> float:
        return left + (right - left) * (value - ticks[0]) / (ticks[-1] - ticks[0])

    parts = []
    foot = 8 + _ROW * len(rows)
    for tick in ticks:
        kind = 'axis' if bars and tick == 0 else 'grid'
        parts.append(
            f'<line class="{kind}" x1="{across(tick):.1f}" x2="{across(tick):.1f}" y1="4" '
            f'y2="{foot}"/><text x="{across(tick):.1f}" y="{foot + 15}" '
            f'text-anchor="middle">{number(tick)}</text>'
        )
    parts.append(
        f'<text class="label" x="{(left + right) / 2:.0f}" y="{foot + 34}" '
        f'text-anchor="middle">{escape(x_label)}</text>'
    )
    for index, row in enumerate(rows):
        y = 6 + _ROW * (index + 0.5)
        average = sum(value for _, value in row.values) / len(row.values)
        parts.append(
            f'<text class="name" x="{_LABEL}" y="{y + 4}" text-anchor="end">'
            f'{escape(_short(row.name))}</text>'
            f'<text class="value" x="{width - 4}" y="{y + 4}" text-anchor="end">'
            f'{escape(row.text)}</text>'
        )
        if bars:
            start, end = sorted((across(0), across(average)))
            parts.append(
                f'<rect class="{row.style}" x="{start:.1f}" y="{y - 8}" '
                f'width="{max(1.0, end - start):.1f}" height="16" rx="3"/>'
            )
        else:
            parts.append(
                f'<line class="mean {row.style}" x1="{across(average):.1f}" '
                f'x2="{across(average):.1f}" y1="{y - 9}" y2="{y + 9}"/>'
            )
        parts += [
            f'<circle class="run {row.style}" cx="{across(value):.1f}" cy="{y}" r="5">'
            f'<title>{escape(label)}: {number(value)}</title></circle>'
            for label, value in row.values
        ]
    spoken = '; '.join(f'{row.name} {row.text}' for row in rows)
    return _figure(title, spoken, ''.join(parts), width, height).replace(
        'class="chart"', 'class="chart wide"', 1
    )


def _short(name: str, most: int = 20) -> str:
    return name if len(name) <= most else name[: most - 1] + '…'
