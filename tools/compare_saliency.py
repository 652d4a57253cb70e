"""Measure several saliency networks on one test set, and set their maps side by side.

python tools/compare_saliency.py --data configs/demo/human_seg_scfnet_student.py --side 224
    --model teacher CONFIG CHECKPOINT --model student CONFIG CHECKPOINT --out work_dirs/compare
"""
import argparse
from pathlib import Path

import cv2
from mmengine.config import Config

import mmkd_sod  # noqa: F401  (mends upstream first)
from mmkd_sod.apis.saliency_comparison import compare
from mmkd_sod.apis.saliency_inferencer import SaliencyInferencer
from mmkd_sod.engine.cli import require_file, run_tool
from mmkd_sod.errors import ConfigError
from mmkd_sod.registry import DATASETS
from mmkd_sod.utils.files import write_json
from mmkd_sod.visualization.saliency import saliency_panel


def parse_args():
    """Arguments of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', required=True, help='config whose test set is measured')
    parser.add_argument('--model', required=True, nargs=3, action='append',
                        metavar=('TITLE', 'CONFIG', 'CHECKPOINT'), help='may be given repeatedly')
    parser.add_argument('--out', required=True, help='folder of scores.json and panel.png')
    parser.add_argument('--rows', type=int, default=6, help='images in the panel, spread evenly')
    parser.add_argument('--side', type=int, default=352, help="side of the networks' input")
    parser.add_argument('--device', help='default: a GPU where there is one')
    return parser.parse_args()


def main() -> None:
    """Print a table, and write it and the panel."""
    args = parse_args()
    require_file(args.data, '--data: config')
    dataset = Config.fromfile(args.data).test_dataloader.dataset
    if dataset.get('type') != 'mmkd_sod.SODDataset' or args.rows < 1:
        raise ConfigError(f"--data: the test set of '{args.data}' is a {dataset.get('type')}; give "
                          'one SODDataset, and at least 1 for --rows')
    dataset.pipeline = []
    dataset = DATASETS.build(dataset)
    samples = [dataset.get_data_info(i) for i in range(len(dataset))]
    step = max(1, len(samples) // args.rows)
    shown = list(range(step // 2, len(samples), step))[:args.rows]
    models = {title: SaliencyInferencer(config, checkpoint, args.device, args.side)
              for title, config, checkpoint in args.model}
    scores, pictures = compare(models, samples, shown)

    names = list(next(iter(scores.values())))
    print(' | '.join(['', *names]) + '\n' + ' | '.join(['---'] * (len(names) + 1)))
    for title, row in scores.items():
        print(' | '.join([title, *(f'{row[name]:.4f}' for name in names)]))
    write_json(Path(args.out) / 'scores.json', scores, indent=1)
    images = [cv2.cvtColor(image, cv2.COLOR_BGR2RGB) for image in pictures.pop('image')]
    saliency_panel(images, pictures, Path(args.out) / 'panel.png')


if __name__ == '__main__':
    run_tool(main)
