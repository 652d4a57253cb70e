"""Evaluate several segmentors on one test set and show their maps side by side.

python tools/compare_segmentors.py --data configs/demo/camvid_pspnet_student.py
    --model student CONFIG CHECKPOINT --model distilled CONFIG CHECKPOINT --out work_dirs/compare
"""

from pathlib import Path

from mmengine.registry import init_default_scope

import mmkd_sod  # noqa: F401  (applies the compatibility patches first)
from mmkd_sod.apis.segmentation_comparison import compare_segmentors
from mmkd_sod.cli.common import comparison_parser, evenly, print_scores, require_file, run_tool
from mmkd_sod.models.student import load_model
from mmkd_sod.registry import DATASETS
from mmkd_sod.utils.config_files import read_config_file
from mmkd_sod.utils.files import write_json
from mmkd_sod.visualization import segmentation_panel


def main() -> None:
    """Print the table of scores, and write scores.json and panel.png."""
    args = comparison_parser(__doc__, rows=4).parse_args()
    require_file(args.data, '--data: config')
    for _, config, checkpoint in args.model:
        require_file(config, '--model: config')
        require_file(checkpoint, '--model: checkpoint')
    cfg = read_config_file(args.data)
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    shown = evenly(len(dataset), args.rows)
    models = {
        title: load_model(read_config_file(config), checkpoint, args.device)
        for title, config, checkpoint in args.model
    }
    scores, pictures = compare_segmentors(models, dataset, shown)

    print_scores(scores, digits=2)
    write_json(Path(args.out) / 'scores.json', scores, indent=1)
    segmentation_panel(
        pictures.pop('image'),
        pictures,
        dataset.metainfo['classes'],
        dataset.metainfo['palette'],
        Path(args.out) / 'panel.png',
    )
    print('picture:', Path(args.out) / 'panel.png')


if __name__ == '__main__':
    run_tool(main)
