"""Images per second of each demo's training pipeline, in one process without workers."""

import sys
import tempfile
from pathlib import Path

from cells import Cells
from common import interleaved, median, parse, parser
from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope

import mmkd_sod  # noqa: F401
from mmkd_sod.datasets.scenes import GroupSettings, SceneSettings, make_groups, make_scenes

# Data folder of each demo; None: generated for the benchmark.
PIPELINES = dict(
    scenes_gfl_student=None,
    groups_hkdnet_student=None,
    bccd_gfl_student='data/bccd_coco',
    camvid_pspnet_student='data/camvid',
    human_seg_scfnet_student='data/human_seg',
    human_seg_scfnet_kd='data/human_seg',
)
IMAGES = 32


def dataset(name: str, folder: Path):
    """Return the training set of a demo."""
    cfg = Config.fromfile(f'configs/demo/{name}.py')
    init_default_scope(cfg.default_scope)
    wanted = cfg.train_dataloader.dataset
    if name.startswith('scenes'):
        make_scenes(folder / 'scenes', SceneSettings(train=IMAGES, val=1), progress=False)
        wanted.data_root = f'{folder}/scenes/'
    elif name.startswith('groups'):
        make_groups(
            folder / 'groups', GroupSettings(train=4, val=1, images=IMAGES // 4), progress=False
        )
        wanted.data_root = f'{folder}/groups/train'
    return DATASETS.build(wanted)


def main() -> None:
    """Time each pipeline."""
    made = parser(__doc__.splitlines()[0])
    made.set_defaults(threads=1)
    args = parse(made)

    def measure(name: str) -> dict:
        with tempfile.TemporaryDirectory() as folder:
            samples = dataset(name, Path(folder))
            number = min(IMAGES, len(samples))

            def load_all() -> None:
                for index in range(number):
                    samples[index]

            seconds = interleaved({name: load_all}, args.rounds, args.warmup)
        return dict(images=number, images_per_second=round(number / median(seconds[name]), 1))

    there = [name for name, folder in PIPELINES.items() if folder is None or Path(folder).is_dir()]
    for name in sorted(set(PIPELINES) - set(there)):
        print(f"{name}: '{PIPELINES[name]}' does not exist; skipped", file=sys.stderr)
    Cells('data_throughput_cpu', dict(rounds=args.rounds), again=args.again).measure(
        there, measure, lambda _, cell: f'{cell["images_per_second"]} images per second'
    )


if __name__ == '__main__':
    main()
