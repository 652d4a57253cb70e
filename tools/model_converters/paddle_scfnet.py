"""Convert released SCFNet weights (.pdparams) to a checkpoint of this project."""

import argparse
from pathlib import Path

from mmengine.config import Config

import mmkd_sod  # noqa: F401  (applies the compatibility patches first)
from mmkd_sod.cli.common import require_file, run_tool
from mmkd_sod.errors import ConfigError
from mmkd_sod.models.builder import build_model
from mmkd_sod.utils.array_pickle import load_array_pickle
from mmkd_sod.utils.checkpoint import check_fits, save_checkpoint
from mmkd_sod.utils.paddle_scfnet import convert_scfnet

CONFIG = Path(__file__).resolve().parents[2] / 'configs/_base_/models/scfnet_mobilenetv3.py'


def parse_args():
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('weights', help='the .pdparams file; nothing in it is executed')
    parser.add_argument('out', help='the .pth file to write; must not exist')
    parser.add_argument(
        '--config',
        default=str(CONFIG),
        help='config of the network of these weights (default: SCFNet on MobileNetV3)',
    )
    return parser.parse_args()


def main() -> None:
    """Read and rename the weights, check that they match the network, and write them."""
    args = parse_args()
    if Path(args.out).exists():
        raise ConfigError(f"'{args.out}' already exists; remove it or choose another file")
    require_file(args.config, 'config')
    state = convert_scfnet(load_array_pickle(args.weights))
    model = build_model(Config.fromfile(args.config).model)
    if any(key.startswith('backbone.') for key in state):
        check_fits(model, state, args.weights, args.config)
    else:
        check_fits(model.backbone, state, args.weights, f'the backbone of {args.config}')
    meta = dict(
        converted_from=Path(args.weights).name, dataset_meta=dict(classes=('background', 'salient'))
    )
    save_checkpoint(dict(meta=meta, state_dict=state), args.out)
    count = sum(value.numel() for value in state.values())
    print(f'{args.out}: {count:,} values, including running statistics')


if __name__ == '__main__':
    run_tool(main)
