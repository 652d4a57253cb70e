"""Ship a student: plain config and weights, ONNX, a predictor without torch, and a card.

Of a distillation, only the student is shipped. The folder is created only if the metrics of torch
and of the predictor differ by less than 1e-3 on the config's test set.
"""

import argparse
from pathlib import Path

from mmkd_sod.cli.common import add_cfg_options, override, read_config, require_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command line."""
    parser.add_argument('config', help='config of a distillation or of a plain model')
    parser.add_argument('checkpoint', help='its checkpoint')
    parser.add_argument('--out', required=True, metavar='DIR', help='the folder to write')
    parser.add_argument('--name', help="name of the model on the card; default: the config's name")
    parser.add_argument(
        '--split',
        choices=['test', 'val'],
        default='test',
        help='the data on which torch and ONNX are compared',
    )
    parser.add_argument('--force', action='store_true', help='overwrite an earlier shipment')
    add_cfg_options(parser)


def run(args: argparse.Namespace) -> None:
    """Ship, and print the measurements."""
    cfg = read_config(args.config)
    require_file(args.checkpoint, 'checkpoint')
    from mmkd_sod.deployment.shipment import FILES, ship

    override(cfg, args)
    name = args.name or Path(args.config).stem
    agreement = ship(cfg, args.checkpoint, args.out, name, args.split, args.force)
    for metric, difference in agreement.differences.items():
        print(
            f'{metric:24} torch {agreement.torch[metric]:9.4f}  '
            f'ONNX {agreement.onnx[metric]:9.4f}  difference {difference:.1e}'
        )
    print(
        f'milliseconds per image   torch {agreement.torch_ms:9.1f}  ONNX {agreement.onnx_ms:9.1f}'
    )
    print(f'{args.out}: {", ".join(FILES)}')
