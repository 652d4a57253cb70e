"""Generate scenes: images, COCO boxes, class masks, saliency masks and depth maps."""

import argparse

from mmkd_sod.cli.common import run_tool
from mmkd_sod.datasets.scenes import SceneSettings, make_scenes


def parse_args(argv=None):
    defaults = SceneSettings()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument('--out', default='data/scenes', help='folder of the set')
    parser.add_argument('--train', type=int, default=defaults.train, help='training images')
    parser.add_argument('--val', type=int, default=defaults.val, help='validation images')
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
    settings = SceneSettings(args.train, args.val, *args.size, args.seed)
    made = make_scenes(args.out, settings)
    print(
        f'{args.out}: {args.train} + {args.val} scenes '
        + ('made' if made else 'already exist; nothing to do')
    )


if __name__ == '__main__':
    run_tool(main)
