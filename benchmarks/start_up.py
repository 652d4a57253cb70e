"""Start-up time: imports, and from command to the first logged training step.

Each figure is a median over separate processes, which take turns. The plain student of
configs/demo/scenes_gfl_student.py trains on a few generated scenes with tools/train.py, and with
mmdet's own train.py on the same config without mmkd_sod.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import mmdet
from cells import Cells
from common import interleaved, median, parse, parser
from mmengine.config import Config

from mmkd_sod.datasets.scenes import SceneSettings, make_scenes

IMPORTS = ('torch', 'mmengine', 'mmdet', 'mmdet.apis', 'mmkd_sod')
MMDET_TRAIN = Path(mmdet.__file__).parent / '.mim' / 'tools' / 'train.py'


def importing(module: str) -> Callable[[], None]:
    """Return a function that starts Python and imports a module."""
    return lambda: subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', f'import {module}'], check=True, capture_output=True
    )


def building() -> None:
    """Start Python, read the CrossKD demo's config and build its model."""
    code = (
        'import mmkd_sod; from mmengine.config import Config; from mmengine.registry import '
        'init_default_scope; from mmkd_sod.registry import MODELS; '
        "cfg = Config.fromfile('configs/demo/bccd_gfl_crosskd.py'); "
        "init_default_scope('mmdet'); MODELS.build(cfg.model)"
    )
    subprocess.run([sys.executable, '-W', 'ignore', '-c', code], check=True, capture_output=True)


def student_config(folder: Path) -> Path:
    """Write the plain student's config for scenes in ``folder``, without mmkd_sod; its path."""
    make_scenes(folder / 'scenes', SceneSettings(train=16, val=2), progress=False)
    cfg = Config.fromfile('configs/demo/scenes_gfl_student.py')
    cfg.pop('custom_imports')
    for loader in ('train', 'val', 'test'):
        cfg[f'{loader}_dataloader'].dataset.data_root = f'{folder}/scenes/'
    for split in ('val', 'test'):
        cfg[f'{split}_evaluator'].ann_file = f'{folder}/scenes/annotations/val.json'
    cfg.default_hooks.logger.interval = 1
    cfg.dump(folder / 'student.py')
    return folder / 'student.py'


def first_step(script: Path, config: Path, folder: Path) -> Callable[[], None]:
    """Return a function that trains until the first step is logged."""

    def run() -> None:
        process = subprocess.Popen(
            [
                sys.executable,
                '-u',
                '-W',
                'ignore',
                str(script),
                str(config),
                '--work-dir',
                str(folder / 'work'),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        lines = []
        for line in process.stdout:
            lines.append(line)
            if 'Epoch(train)' in line:
                break
        else:
            raise RuntimeError(f'{script} logged no step:\n' + ''.join(lines[-20:]))
        process.kill()
        process.communicate()

    return run


def main() -> None:
    """Time imports, then both trainers."""
    made = parser(__doc__.splitlines()[0])
    made.set_defaults(rounds=7, warmup=1)
    args = parse(made)

    def timed(variants: dict) -> dict:
        seconds = interleaved(variants, args.rounds, args.warmup)
        return dict(seconds={name: median(values) for name, values in seconds.items()})

    def measure(key: str) -> dict:
        if key == 'import':
            return timed({f'import {module}': importing(module) for module in IMPORTS})
        if key == 'build':
            return timed({'import mmkd_sod, read and build bccd_gfl_crosskd': building})
        with tempfile.TemporaryDirectory() as folder:
            config = student_config(Path(folder))
            return timed(
                {
                    name: first_step(script, config, Path(folder))
                    for name, script in (
                        ("mmdet's train.py", MMDET_TRAIN),
                        ('tools/train.py', Path('tools/train.py')),
                    )
                }
            )

    began = time.monotonic()
    Cells('start_up_cpu', dict(rounds=args.rounds), again=args.again).measure(
        ('import', 'build', 'first step'), measure, lambda _, cell: str(cell['seconds'])
    )
    print(f'{time.monotonic() - began:.0f} s')


if __name__ == '__main__':
    main()
