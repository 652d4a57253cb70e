"""Convert released SCFNet weights (.pdparams) to a checkpoint of this project."""
import argparse
import sys
from pathlib import Path

import torch
from mmengine.config import Config

import mmkd_sod  # noqa: F401  (mends what is broken upstream)
from mmkd_sod.errors import UserError
from mmkd_sod.registry import MODELS
from mmkd_sod.utils.array_pickle import load_array_pickle
from mmkd_sod.utils.files import atomic_path
from mmkd_sod.utils.paddle_scfnet import check_fits, convert_scfnet

CONFIG = Path(__file__).resolve().parents[2] / 'configs/_base_/models/scfnet_mobilenetv3.py'


def parse_args(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('weights', help='the .pdparams file; nothing in it is executed')
    parser.add_argument('out', help='the .pth file to write; one that is there is kept')
    parser.add_argument('--config', default=str(CONFIG),
                        help='config with the network that the weights are for '
                             '(default: SCFNet on MobileNetV3)')
    return parser.parse_args(argv)


def convert(weights: str, out: str, config: str) -> int:
    """Write the checkpoint and return how many numbers it holds."""
    if Path(out).exists():
        raise UserError(f'{out} is there already; remove it or name another file')
    state = convert_scfnet(load_array_pickle(weights))
    model = MODELS.build(Config.fromfile(config).model)
    whole = any(key.startswith('backbone.') for key in state)
    check_fits(model if whole else model.backbone, state, config if whole else
               f'the backbone of {config}')
    meta = dict(converted_from=Path(weights).name,
                dataset_meta=dict(classes=('background', 'salient')))
    with atomic_path(out) as path:
        torch.save(dict(meta=meta, state_dict=state), path)
    return sum(value.numel() for value in state.values())


def main(argv=None) -> int:
    args = parse_args(argv)
    try:
        count = convert(args.weights, args.out, args.config)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    print(f'{args.out}: {count:,} numbers, running statistics included')
    return 0


if __name__ == '__main__':
    sys.exit(main())
