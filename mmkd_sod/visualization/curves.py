"""Curves of runs from the scalars that mmengine logs."""

import math
from dataclasses import dataclass, field

from mmkd_sod.errors import DataError
from mmkd_sod.utils.files import atomic_path
from mmkd_sod.utils.run_logs import scalar_records

# Okabe and Ito's colours are distinguishable for colour-blind readers, dashes in print.
COLORS = ('#0072b2', '#d55e00', '#009e73', '#cc79a7', '#56b4e9', '#e69f00', '#000000')
_DASHES = ('-', '--', '-.', ':')
_SMOOTHING = 0.08  # half-width of the running mean, relative to the number of points


@dataclass
class RunScalars:
    """Loss and metric of a run.

    Attributes:
        loss (dict[int, float]): Task loss by iteration.
        metric (dict[int, float]): Validation metric by epoch or iteration.
        by_epoch (bool): Whether the keys of ``metric`` are epochs.
    """

    loss: dict = field(default_factory=dict)
    metric: dict = field(default_factory=dict)
    by_epoch: bool = True


def _own_loss(record: dict):
    """Return the task loss of a logged line, or None if it has no loss.

    A distilled student logs its task losses as ``student.*``; only these can be compared with the
    loss of plain training.
    """
    own = [value for key, value in record.items() if key.startswith('student.') and 'loss' in key]
    return sum(own) if own else record.get('loss')


def read_scalars(work_dir, metric: str = 'coco/bbox_mAP') -> RunScalars:
    """Read the loss and a metric of a run; of a step that was logged twice the later record.

    Args:
        work_dir (str | Path): Folder of the run, with ``<time>/vis_data/scalars.json``.
        metric (str): Logged name of the validation metric.

    Returns:
        RunScalars: Loss and metric.

    Raises:
        DataError: The log is missing, not readable, or has neither loss nor metric.
    """
    run = RunScalars()
    for record in scalar_records(work_dir):
        step = record['step']
        if metric in record:
            run.metric[step] = record[metric]
        elif (loss := _own_loss(record)) is not None:
            run.loss[step] = loss
            run.by_epoch = 'epoch' in record
    if not run.loss and not run.metric:
        raise DataError(f"'{work_dir}' logs neither a loss nor {metric}; give another metric")
    return run


def running_mean(values, half_width: int) -> list:
    """Return means over ``half_width`` neighbours on either side, fewer towards the ends."""
    means = []
    for index in range(len(values)):
        reach = min(half_width, index, len(values) - 1 - index)
        window = values[index - reach : index + reach + 1]
        means.append(sum(window) / len(window))
    return means


def _draw_run(axes, label: str, run: RunScalars, color: str, dash: str, scale: float) -> None:
    steps = sorted(run.loss)
    losses = [run.loss[step] for step in steps]
    smooth = running_mean(losses, round(_SMOOTHING * len(losses)))
    axes[0].plot(steps, losses, color=color, alpha=0.25, linewidth=0.8)
    axes[0].plot(steps, smooth, dash, color=color, linewidth=1.8, label=label)
    steps = sorted(run.metric)
    values = [run.metric[step] * scale for step in steps]
    best = f'{label} ({max(values):.1f})' if values else label
    axes[1].plot(
        steps, values, dash, color=color, linewidth=1.8, marker='o', markersize=3.5, label=best
    )


def plot_curves(
    runs: dict,
    path,
    metric: str = 'coco/bbox_mAP',
    metric_name: str = 'AP',
    scale: float = 100.0,
    title: str = '',
) -> None:
    """Plot loss and validation metric of several runs side by side.

    Each run has one colour in both panels. The loss is the task loss without distillation terms,
    drawn as logged (faint) and as a running mean. The legend of the metric shows its maximum.

    Args:
        runs (dict[str, str | Path]): Folder of each run by label.
        path (str | Path): Output file, for example a PNG.
        metric (str): Logged name of the validation metric.
        metric_name (str): Name of the metric in the picture.
        scale (float): Factor of the metric's values.
        title (str): Title of the picture.

    Raises:
        DataError: There are no runs, or a log is missing, not readable, or has neither loss nor
            metric.
    """
    if not runs:
        raise DataError('plot_curves: runs is empty; give at least one work folder')
    scalars = {label: read_scalars(work_dir, metric) for label, work_dir in runs.items()}
    # A canvas of its own needs neither a display nor pyplot's global state.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), dpi=130, layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 2)
    for index, (label, run) in enumerate(scalars.items()):
        _draw_run(
            axes, label, run, COLORS[index % len(COLORS)], _DASHES[index % len(_DASHES)], scale
        )
    by_epoch = all(run.by_epoch for run in scalars.values())
    axes[0].set(xlabel='iteration', ylabel='detection loss', title='Training loss')
    axes[1].set(
        xlabel='epoch' if by_epoch else 'iteration',
        ylabel=metric_name,
        title=f'{metric_name} on validation (best)',
    )
    axes[1].set_ylim(bottom=0)
    for axis in axes:
        axis.grid(alpha=0.3, linewidth=0.6)
        axis.spines[['top', 'right']].set_visible(False)
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.legend(frameon=False)
    # High losses in the first steps would flatten the rest of the curve.
    later = sorted(
        value
        for run in scalars.values()
        for _, value in sorted(run.loss.items())[1:]
        if math.isfinite(value)
    )
    if later:
        axes[0].set_ylim(0.9 * later[0], 1.1 * later[int(0.98 * (len(later) - 1))])
    if title:
        figure.suptitle(title)
    with atomic_path(path) as temporary:
        figure.savefig(temporary)
