"""Write a teacher's saliency maps to disk, for training with LoadWeakLabel.

An interrupted run resumes when it is started again. Under torchrun or srun the images are split
between the processes, one per GPU.
"""

from argparse import ArgumentParser

import torch

import mmkd_sod  # noqa: F401  (applies the compatibility patches first)
from mmkd_sod.apis.weak_label_writer import WeakLabelWriter
from mmkd_sod.cli.common import require_file, run_tool
from mmkd_sod.errors import ConfigError
from mmkd_sod.models.saliency_inferencer import SaliencyInferencer
from mmkd_sod.registry import DATASETS
from mmkd_sod.utils.config_files import read_config_file
from mmkd_sod.utils.launch import launched_process


def parse_args():
    """Parse the command line."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help="the teacher's config")
    parser.add_argument('checkpoint', help="the teacher's checkpoint")
    parser.add_argument('--out', required=True, help='folder of the labels')
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument('--images', help='folder of images, searched recursively')
    source.add_argument('--data', help='training config whose images get labels')
    parser.add_argument('--name', help="with --images: the set's name; default: the folder's")
    parser.add_argument('--bits', type=int, default=16, choices=[8, 16], help='depth of the PNGs')
    parser.add_argument('--side', type=int, default=352, help="side of the teacher's input")
    parser.add_argument('--batch-size', type=int, default=8)
    parser.add_argument(
        '--min-confidence',
        type=float,
        default=0.0,
        help='omit images with a lower confidence from kept.txt; 0 to 1',
    )
    parser.add_argument('--device', help='default: a GPU if available')
    return parser.parse_args()


def build_dataset(args):
    """Build the data set of the images, without a pipeline."""
    if args.images:
        return DATASETS.build(
            dict(type='mmkd_sod.UnlabelledImageDataset', data_root=args.images, name=args.name)
        )
    require_file(args.data, '--data: config')
    dataset = read_config_file(args.data).train_dataloader.dataset
    while 'dataset' in dataset:
        dataset = dataset.dataset
    if dataset.get('type') not in ('mmkd_sod.SODDataset', 'mmkd_sod.UnlabelledImageDataset'):
        raise ConfigError(
            f"--data: '{args.data}' trains on a {dataset.get('type')}; give a config "
            'with one SODDataset or UnlabelledImageDataset'
        )
    dataset.pipeline = []
    return DATASETS.build(dataset)


def main() -> None:
    """Label this process's share of the images and print a summary."""
    args = parse_args()
    process = launched_process()
    if args.device is None and torch.cuda.is_available():
        # srun may show each process its own GPU alone.
        args.device = f'cuda:{process.local % torch.cuda.device_count()}'
    dataset = build_dataset(args)
    inferencer = SaliencyInferencer(
        args.config, args.checkpoint, args.device, args.side, args.batch_size
    )
    images = [dataset.get_data_info(i) for i in range(len(dataset))]
    report = WeakLabelWriter(
        inferencer,
        images,
        args.out,
        dataset.data_prefix['img_path'],
        args.bits,
        args.min_confidence,
        process.rank,
        process.world,
    ).run()
    if report is None:
        print(f'rank {process.rank}: done; other ranks are still running')
        return
    print(
        f'{args.out}: {report["kept"]} of {report["images"]} images kept, '
        f'{len(report["dropped"])} below confidence {args.min_confidence}, '
        f'{len(report["unreadable"])} unreadable; see {args.out}/report.json'
    )
    for error in report['unreadable']:
        print(f'  skipped: {error}')


if __name__ == '__main__':
    run_tool(main)
