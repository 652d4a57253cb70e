"""Convert a data set in Pascal VOC layout to COCO json, one file per split.

Example: python tools/dataset_converters/voc_to_coco.py data/bccd
writes data/bccd_coco/annotations/{train,val,trainval,test}.json; data/bccd is only read.
"""

import argparse
import os.path as osp

from mmkd_sod.cli.common import run_tool
from mmkd_sod.datasets.voc import DIFFICULT, convert


def parse_args(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('root', help='folder with Annotations, JPEGImages and ImageSets/Main')
    parser.add_argument('--out', help='folder of the json files (default: ROOT_coco/annotations)')
    parser.add_argument(
        '--splits', nargs='+', help='default: all of train, val, trainval, test that exist'
    )
    parser.add_argument('--classes', nargs='+', help='class names in order (default: all, sorted)')
    parser.add_argument(
        '--difficult',
        choices=DIFFICULT,
        default='ignore',
        help='objects marked difficult: written with iscrowd 1 (ignore), like the '
        'others (keep) or not at all (drop); default ignore',
    )
    parser.add_argument('--force', action='store_true', help='overwrite json files that differ')
    return parser.parse_args(argv)


def print_report(reports, most: int = 5) -> None:
    """Print a table of boxes by class and split, then irregularities."""
    names = sorted({name for report in reports for name in report.boxes})
    rows = [['split', 'images', *names, 'difficult']]
    for report in reports:
        rows.append(
            [report.split, report.images, *(report.boxes[name] for name in names), report.difficult]
        )
    widths = [max(len(str(cell)) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        print('  '.join(str(cell).rjust(width) for cell, width in zip(row, widths, strict=True)))
    for report in reports:
        for title, found in (
            ('boxes without area, dropped', report.dropped),
            ('boxes clipped to the image', report.clipped),
            ('image sizes taken from the image', report.sizes),
            ('images without boxes', report.empty),
        ):
            if found:
                more = f'; and {len(found) - most} more' if len(found) > most else ''
                print(f'{report.split}: {title}: {len(found)} ({"; ".join(found[:most])}{more})')


def main(argv=None) -> None:
    args = parse_args(argv)
    # Not resolved: if the root is a link, the json files go next to the link, not its target.
    out = args.out or osp.join(osp.normpath(args.root) + '_coco', 'annotations')
    print_report(convert(args.root, out, args.splits, args.classes, args.difficult, args.force))
    print(f'written to {out}')


if __name__ == '__main__':
    run_tool(main)
