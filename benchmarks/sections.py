"""The sections of benchmarks/README.md, each from one json file."""

from page_parts import page_section, table
from sections_gain import gain
from sections_steps import (
    checkpoint_size,
    crosskd_step,
    cskd_loss,
    growth,
    peak_memory,
    teacher_options,
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
