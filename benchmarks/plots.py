"""Plots of benchmarks/README.md, each from one json file, whose digest is stored in the image."""

import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path

from common import RESULTS, load
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from page_parts import PLOTS
from PIL import Image

from mmkd_sod.report.metrics import describe
from mmkd_sod.utils.files import atomic_path
from mmkd_sod.visualization.curves import COLORS

FOLDER = Path(__file__).resolve().parent / PLOTS


def growth(found: dict) -> Figure:
    """Plot the time of a step relative to its bound along each axis."""
    axes_of: dict = {}
    for key, cell in found['cells'].items():
        points = axes_of.setdefault(cell['axis'], {}).setdefault(key.split()[0], [])
        points.append((cell['value'], cell['over_bound'][key.split()[0]]))
    figure = Figure(figsize=(3 * len(axes_of), 2.8), dpi=110, layout='constrained')
    panels = figure.subplots(1, len(axes_of), sharey=True, squeeze=False)[0]
    methods = list(dict.fromkeys(method for lines in axes_of.values() for method in lines))
    for panel, (axis, lines) in zip(panels, axes_of.items(), strict=True):
        for method, points in lines.items():
            panel.plot(
                *zip(*sorted(points), strict=True),
                marker='o',
                markersize=4,
                label=method,
                color=COLORS[methods.index(method)],
            )
        panel.axhline(1, color='0.6', linewidth=0.8)
        panel.set_xlabel(axis)
    panels[0].set_ylabel('step / lower bound')
    panels[0].legend(frameon=False)
    return figure


def gain(found: dict) -> Figure:
    """Plot mean and standard deviation of the gain in each set's first metric."""
    bars = []
    for group, part in found['sets'].items():
        metric = describe(part['settings']['metrics'][0])
        for method, lengths in part['gains'].items():
            for epochs, cell in lengths.items():
                average, deviation = cell[metric.key]['gain']
                scale = metric.scale * (100 if metric.key.startswith('sod/') else 1)
                bars.append(
                    (
                        f'{group} {method}, {epochs} epochs: {metric.name}',
                        average * scale,
                        math.nan if deviation is None else deviation * scale,
                    )
                )
    figure = Figure(figsize=(8, 0.8 + 0.32 * len(bars)), dpi=110, layout='constrained')
    axes = figure.subplots()
    for place, (_, average, deviation) in enumerate(bars):
        axes.barh(
            place, average, xerr=deviation, capsize=3, color=COLORS[0] if average > 0 else COLORS[1]
        )
    axes.set_yticks(range(len(bars)), [name for name, *_ in bars])
    axes.invert_yaxis()
    axes.axvline(0, color='0.3', linewidth=0.8)
    axes.set_xlabel('gain over the plain student in points, ± standard deviation')
    return figure


DRAWN: dict[str, Callable[[dict], Figure]] = dict(growth=growth, gain=gain)


def digest(found: dict) -> str:
    """Return the digest of a json file's content."""
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()


def drawn_from(path: Path) -> str | None:
    """Return the digest of the json file from which a plot was made, if it has one."""
    with Image.open(path) as image:
        return image.text.get('Results')


def pictures() -> dict[str, Callable[[dict], Figure]]:
    """Return the plotting function of each json file that has a plot, by name."""
    return {
        path.stem: draw
        for path in sorted(RESULTS.glob('*.json'))
        for prefix, draw in DRAWN.items()
        if path.stem.rsplit('_', 1)[0] == prefix and _worth(load(path.stem))
    }


def _worth(found: dict) -> bool:
    return bool(found.get('cells') or any(part['gains'] for part in found.get('sets', {}).values()))


def draw_all() -> None:
    """Draw the plots whose json file has changed."""
    for name, draw in pictures().items():
        found, path = load(name), FOLDER / f'{name}.png'
        if path.is_file() and drawn_from(path) == digest(found):
            continue
        figure = draw(found)
        FigureCanvasAgg(figure)
        with atomic_path(path) as temporary:
            figure.savefig(temporary, metadata=dict(Results=digest(found)))
