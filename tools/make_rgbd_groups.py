"""Generate RGB-D groups: images, depth maps and masks, one folder per group."""

import argparse

from mmkd_sod.cli.common import run_tool
from mmkd_sod.datasets.scenes import GroupSettings, make_groups


def parse_args(argv=None):
    defaults = GroupSettings()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument('--out', default='data/rgbd_groups', help='folder of the set')
    parser.add_argument('--train', type=int, default=defaults.train, help='training groups')
    parser.add_argument('--val', type=int, default=defaults.val, help='validation groups')
    parser.add_argument('--images', type=int, default=defaults.images, help='images per group')
    parser.add_argument(
        '--size',
        type=int,
        nargs=2,
        metavar=('WIDTH', 'HEIGHT'),
        default=(defaults.width, defaults.height),
        help='size of the images',
    )
    parser.add_argument('--seed', type=int, default=defaults.seed, help='seed of the whole set')
    return parser.parse_args(argv)


def main(argv=None) -> None:
    args = parse_args(argv)
    settings = GroupSettings(args.train, args.val, args.images, *args.size, args.seed)
    made = make_groups(args.out, settings)
    print(
        f'{args.out}: {args.train} + {args.val} groups of {args.images} '
        + ('made' if made else 'already exist; nothing to do')
    )


if __name__ == '__main__':
    run_tool(main)
