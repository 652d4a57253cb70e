"""Write benchmarks/README.md from the json files in benchmarks/results; nothing is typed in."""
from pathlib import Path

from common import RESULTS, load

from mmkd_sod.utils.files import atomic_path

HERE = Path(__file__).resolve().parent
HEAD = '''# Benchmarks

Written by `python benchmarks/make_readme.py` from `benchmarks/results/*.json`. Ratios are medians
over rounds in which all variants took turns in one process. The lower bound of a training step is
the plain student's step plus the plain teacher's forward.
'''


def machine_line(found: dict) -> str:
    """One line on what the figures depend on."""
    gpu = f"{found['gpu']}, " if 'gpu' in found else ''
    return f"{gpu}{found['cpu']}, {found['threads']} threads, torch {found['torch']}"


def crosskd_step(name: str) -> str:
    """Section of `crosskd_step.py`."""
    found = load(name)
    rows = ['| variant | ms a step | x bound | peak memory, MiB |', '|---|---|---|---|']
    bound = found['seconds']['student'] + found['seconds']['teacher']
    for variant, seconds in found['seconds'].items():
        ratio = found['over_bound'].get(variant)
        memory = found.get('peak_memory_mib', {}).get(variant)
        rows.append(f"| {variant} | {seconds * 1000:.0f} | {f'{ratio:.3f}' if ratio else ''} | "
                    f"{f'{memory:.0f}' if memory else ''} |")
    images, (height, width) = found['images'], found['size']
    return '\n'.join([
        '## A CrossKD step', '',
        f'GFL ResNet-18 <- GFL ResNet-50, {images} images of {height} x {width}, '
        f"{found['rounds']} rounds, `python benchmarks/crosskd_step.py`. Lower bound: "
        f"{bound * 1000:.0f} ms. {machine_line(found['machine'])}.", '', *rows, ''])


def cskd_loss(name: str) -> str:
    """Section of `cskd_loss.py`."""
    found = load(name)
    rows = ['| convolutions | loop, ms | ours, ms | x faster | loop, MiB | ours, MiB |',
            '|---|---|---|---|---|---|']
    for mode, one in found['modes'].items():
        memory = one.get('peak_memory_mib', {})
        cells = [mode, *(f"{one['seconds'][side] * 1000:.0f}" for side in ('loop', 'ours')),
                 f"{one['speedup']:.2f}",
                 *(f'{memory[side]:.0f}' if memory else '' for side in ('loop', 'ours'))]
        rows.append(f"| {' | '.join(cells)} |")
    student, teacher = found['channels']
    height, width = found['size']
    return '\n'.join([
        "## CSKD's feature loss", '',
        f'Forward and backward at {found["images"]} x ({student} | {teacher}) x {height} x '
        f"{width}, against the tests' plain loop over blocks, {found['rounds']} rounds, "
        '`python benchmarks/cskd_loss.py`. Memory: peak of a process of its own, over that of one '
        f"which only holds the features. {machine_line(found['machine'])}.", '', *rows, ''])


def method_steps(name: str) -> str:
    """Section of `method_steps.py`."""
    methods = load(name)
    rows = ['| pair | variant | student, ms | teacher, ms | step, ms | x bound |',
            '|---|---|---|---|---|---|']
    for found in methods.values():
        seconds = {variant: f'{value * 1000:.0f}' for variant, value in found['seconds'].items()}
        height, width = found['size']
        pair = f"`{found['config']}`, {found['images']} x {height} x {width}"
        rows += [f"| {pair} | {variant} | {seconds['student']} | {seconds['teacher']} | "
                 f'{seconds[variant]} | {ratio:.3f} |'
                 for variant, ratio in found['over_bound'].items()]
    return '\n'.join([
        '## A step of CSKD, weak labels and HKD', '',
        f"The small pairs of `configs/demo`, {found['rounds']} rounds, `python "
        'benchmarks/method_steps.py`. The bound of labels from files (offline) is the student '
        'alone. A plain SCFNet pays for its boundary loss, which weak labels do without, and the '
        f"teacher's BN is folded: hence below 1. {machine_line(found['machine'])}.", '', *rows,
        ''])


def saliency_inference(name: str) -> str:
    """Section of `saliency_inference.py`."""
    found = load(name)
    rows = ['| runtime, images at a time | images a second |', '|---|---|']
    rows += [f'| {variant} | {rate:.1f} |'
             for variant, rate in found['images_per_second'].items()]
    return '\n'.join([
        '## Saliency maps on one core', '',
        f"SCFNet on MobileNetV3, 0.80 M parameters, {found['side']} x {found['side']}, from "
        f"decoded images to maps, {found['rounds']} rounds, "
        '`python benchmarks/saliency_inference.py`. '
        f"ONNX differs from torch by {found['onnx_differs_by']:.0e}. "
        f"{machine_line(found['machine'])}.", '', *rows, ''])


SECTIONS = dict(
    crosskd_step=crosskd_step, cskd_loss=cskd_loss, method_steps=method_steps,
    saliency_inference=saliency_inference)


def readme() -> str:
    """The whole page."""
    parts = [HEAD]
    for path in sorted(RESULTS.glob('*.json')):
        for prefix, section in SECTIONS.items():
            if path.stem.startswith(prefix):
                parts.append(section(path.stem))
    return '\n'.join(parts)


if __name__ == '__main__':
    with atomic_path(HERE / 'README.md') as temporary:
        temporary.write_text(readme())
