"""Evaluate several saliency networks on one test set and show their maps side by side.

python tools/compare_saliency.py --data configs/demo/human_seg_scfnet_student.py --side 224
    --model teacher CONFIG CHECKPOINT --model student CONFIG CHECKPOINT --out work_dirs/compare
"""

from pathlib import Path

import cv2

import mmkd_sod  # noqa: F401  (applies the compatibility patches first)
from mmkd_sod.apis.saliency_comparison import compare
from mmkd_sod.cli.common import comparison_parser, evenly, print_scores, require_file, run_tool
from mmkd_sod.errors import ConfigError
from mmkd_sod.models.saliency_inferencer import SaliencyInferencer
from mmkd_sod.registry import DATASETS
from mmkd_sod.utils.config_files import read_config_file
from mmkd_sod.utils.files import write_json
from mmkd_sod.visualization.saliency import saliency_panel


def main() -> None:
    """Print the table of scores, and write scores.json and panel.png."""
    parser = comparison_parser(__doc__, rows=6)
    parser.add_argument('--side', type=int, default=352, help="side of the networks' input")
    args = parser.parse_args()
    require_file(args.data, '--data: config')
    dataset = read_config_file(args.data).test_dataloader.dataset
    if dataset.get('type') != 'mmkd_sod.SODDataset':
        raise ConfigError(
            f"--data: the test set of '{args.data}' is a {dataset.get('type')}; give one SODDataset"
        )
    dataset.pipeline = []
    dataset = DATASETS.build(dataset)
    samples = [dataset.get_data_info(i) for i in range(len(dataset))]
    shown = evenly(len(samples), args.rows)
    models = {
        title: SaliencyInferencer(config, checkpoint, args.device, args.side)
        for title, config, checkpoint in args.model
    }
    scores, pictures = compare(models, samples, shown)

    print_scores(scores, digits=4)
    write_json(Path(args.out) / 'scores.json', scores, indent=1)
    images = [cv2.cvtColor(image, cv2.COLOR_BGR2RGB) for image in pictures.pop('image')]
    saliency_panel(images, pictures, Path(args.out) / 'panel.png')


if __name__ == '__main__':
    run_tool(main)
