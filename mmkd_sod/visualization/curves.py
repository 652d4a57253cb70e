"""Curves of several runs from the scalars that mmengine logs."""
import math
from dataclasses import dataclass, field

from mmkd_sod.errors import DataError
from mmkd_sod.utils.files import atomic_path
from mmkd_sod.utils.run_logs import scalar_records

# Okabe and Ito's colours, which stay apart for colour-blind readers; the dashes help in print.
COLORS = ('#0072b2', '#d55e00', '#009e73', '#cc79a7', '#56b4e9', '#e69f00', '#000000')
_DASHES = ('-', '--', '-.', ':')
_SMOOTHING = 0.08  # half-width of the running mean, as a share of the run's points


@dataclass
class RunScalars:
    """What one run logged.

    Attributes:
        loss (dict[int, float]): Detection loss by iteration.
        metric (dict[int, float]): Validation metric by epoch, or by iteration.
        by_epoch (bool): Whether ``metric`` counts epochs.
    """
    loss: dict = field(default_factory=dict)
    metric: dict = field(default_factory=dict)
    by_epoch: bool = True


def _own_loss(record: dict):
    """The student's own loss of one logged line, None when it has no loss.

    A distilled student logs its terms as ``student.*`` and those of the distiller beside them;
    without the latter its loss can be compared with that of plain training.
    """
    own = [value for key, value in record.items()
           if key.startswith('student.') and 'loss' in key]
    return sum(own) if own else record.get('loss')


def read_scalars(work_dir, metric: str = 'coco/bbox_mAP') -> RunScalars:
    """Read all logs of a run; where a resumed run repeats a step, the later log counts.

    Args:
        work_dir (str | Path): The run's folder, with ``<time>/vis_data/scalars.json`` in it.
        metric (str): Name of the validation metric.

    Returns:
        RunScalars: Loss and metric.

    Raises:
        DataError: No log, an unreadable line, or neither loss nor metric in it.
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
        raise DataError(f'{work_dir} logs neither a loss nor {metric}; name another metric')
    return run


def running_mean(values, half_width: int) -> list:
    """Mean over ``half_width`` neighbours on either side, fewer towards the ends."""
    means = []
    for index in range(len(values)):
        reach = min(half_width, index, len(values) - 1 - index)
        window = values[index - reach:index + reach + 1]
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
    axes[1].plot(steps, values, dash, color=color, linewidth=1.8, marker='o', markersize=3.5,
                 label=best)


def plot_curves(runs: dict, path, metric: str = 'coco/bbox_mAP', metric_name: str = 'AP',
                scale: float = 100., title: str = '') -> None:
    """Draw loss and validation metric of several runs side by side into a picture.

    Each run keeps its colour in both panels. The loss is the student's own, without what a
    distiller adds, drawn as logged (faint) and as a running mean; the legend of the metric names
    the best value.

    Args:
        runs (dict[str, str | Path]): Work folder of each run, by its label.
        path (str | Path): The picture to write, for example a PNG.
        metric (str): Name of the validation metric in the log.
        metric_name (str): Its name in the picture.
        scale (float): Factor on the metric's values.
        title (str): Title of the picture.

    Raises:
        DataError: No runs, or as in :func:`read_scalars`.
    """
    if not runs:
        raise DataError('plot_curves: runs is empty; name at least one work folder')
    scalars = {label: read_scalars(work_dir, metric) for label, work_dir in runs.items()}
    # The object interface with its own canvas: no display and no global state of pyplot.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    figure = Figure(figsize=(10, 4), dpi=130, layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 2)
    for index, (label, run) in enumerate(scalars.items()):
        _draw_run(axes, label, run, COLORS[index % len(COLORS)], _DASHES[index % len(_DASHES)],
                  scale)
    by_epoch = all(run.by_epoch for run in scalars.values())
    axes[0].set(xlabel='iteration', ylabel='detection loss', title='Training loss')
    axes[1].set(xlabel='epoch' if by_epoch else 'iteration', ylabel=metric_name,
                title=f'{metric_name} on validation (best)')
    axes[1].set_ylim(bottom=0)
    for axis in axes:
        axis.grid(alpha=0.3, linewidth=0.6)
        axis.spines[['top', 'right']].set_visible(False)
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.legend(frameon=False)
    # A few very high first losses would flatten all that follows.
    later = sorted(value for run in scalars.values() for _, value in sorted(run.loss.items())[1:]
                   if math.isfinite(value))
    if later:
        axes[0].set_ylim(0.9 * later[0], 1.1 * later[int(0.98 * (len(later) - 1))])
    if title:
        figure.suptitle(title)
    with atomic_path(path) as temporary:
        figure.savefig(temporary)
