"""Measure several segmentors on one test set, and set their maps side by side.

python tools/compare_segmentors.py --data configs/demo/camvid_pspnet_student.py
    --model student CONFIG CHECKPOINT --model distilled CONFIG CHECKPOINT --out work_dirs/compare
"""
import argparse
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import init_default_scope

import mmkd_sod  # noqa: F401  (mends upstream first)
from mmkd_sod.apis.segmentation_comparison import compare_segmentors, load_segmentor
from mmkd_sod.engine.cli import require_file, run_tool
from mmkd_sod.errors import ConfigError
from mmkd_sod.registry import DATASETS
from mmkd_sod.utils.files import write_json
from mmkd_sod.visualization import segmentation_panel


def parse_args():
    """Arguments of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', required=True, help='config whose test set is measured')
    parser.add_argument('--model', required=True, nargs=3, action='append',
                        metavar=('TITLE', 'CONFIG', 'CHECKPOINT'), help='may be given repeatedly')
    parser.add_argument('--out', required=True, help='folder of scores.json and panel.png')
    parser.add_argument('--rows', type=int, default=4, help='images in the panel, spread evenly')
    parser.add_argument('--device', default='cpu', help='where the models run')
    return parser.parse_args()


def main() -> None:
    """Print a table, and write it and the panel."""
    args = parse_args()
    require_file(args.data, '--data: config')
    for _, config, checkpoint in args.model:
        require_file(config, '--model: config')
        require_file(checkpoint, '--model: checkpoint')
    if args.rows < 1:
        raise ConfigError(f'--rows {args.rows} must be at least 1; leave it out for 4')
    cfg = Config.fromfile(args.data)
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    step = max(1, len(dataset) // args.rows)
    shown = list(range(step // 2, len(dataset), step))[:args.rows]
    models = {title: load_segmentor(config, checkpoint, args.device)
              for title, config, checkpoint in args.model}
    scores, pictures = compare_segmentors(models, dataset, shown)

    names = list(next(iter(scores.values())))
    print(' | '.join(['', *names]) + '\n' + ' | '.join(['---'] * (len(names) + 1)))
    for title, row in scores.items():
        print(' | '.join([title, *(f'{row[name]:.2f}' for name in names)]))
    write_json(Path(args.out) / 'scores.json', scores, indent=1)
    segmentation_panel(pictures.pop('image'), pictures, dataset.metainfo['classes'],
                       dataset.metainfo['palette'], Path(args.out) / 'panel.png')
    print('picture:', Path(args.out) / 'panel.png')


if __name__ == '__main__':
    run_tool(main)
