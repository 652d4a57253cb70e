"""Predict saliency maps of files, folders, patterns and videos.

Writes `maps/`, `overlays/` and `cutouts/` (the image with the map as alpha channel) to --out-dir.
Existing results are kept, so an interrupted run resumes when it is started again.
"""

import argparse
from pathlib import Path

import mmkd_sod  # noqa: F401  (applies the compatibility patches first)
from mmkd_sod.apis.saliency_sources import find_sources, read_sources
from mmkd_sod.cli.common import run_tool
from mmkd_sod.errors import DataError
from mmkd_sod.models.saliency_inferencer import SaliencyInferencer
from mmkd_sod.utils.files import refuse_links
from mmkd_sod.utils.images import write_png
from mmkd_sod.utils.progress import progress_bar
from mmkd_sod.visualization.saliency import cut_out, saliency_overlay

MAKERS = dict(
    maps=lambda image, saliency: (saliency * 255 + 0.5).astype('uint8'),
    overlays=lambda image, saliency: saliency_overlay(image, saliency, colour=(40, 60, 230)),
    cutouts=cut_out,
)


def parse_args():
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='config of a segmentor or of a distillation')
    parser.add_argument('checkpoint', help='its checkpoint')
    parser.add_argument('inputs', nargs='+', help='files, folders, patterns, videos')
    parser.add_argument('--out-dir', default='predictions')
    parser.add_argument(
        '--only',
        nargs='+',
        choices=list(MAKERS),
        default=list(MAKERS),
        help='what to write; default: all three',
    )
    parser.add_argument('--side', type=int, default=352, help="side of the network's input")
    parser.add_argument('--batch-size', type=int, default=8)
    parser.add_argument('--device', help='default: a GPU if available')
    parser.add_argument('--force', action='store_true', help='overwrite existing results')
    return parser.parse_args()


def main() -> None:
    """Predict, write the results, and list what could not be read."""
    args = parse_args()
    sources = find_sources(args.inputs)
    inferencer = SaliencyInferencer(
        args.config, args.checkpoint, args.device, args.side, args.batch_size
    )
    out, errors, written, kept = Path(args.out_dir), [], 0, 0

    def path_of(kind: str, name: str) -> Path:
        return out / kind / f'{name}.png'

    with progress_bar(sum(source.frames or 1 for source in sources)) as tell:

        def skip(name: str) -> bool:
            nonlocal kept
            there = not args.force and all(path_of(kind, name).exists() for kind in args.only)
            if there:
                kept += 1
                tell()
            return there

        def on_error(source, error) -> None:
            errors.append(error)
            tell()

        for name, image, saliency in inferencer.stream(read_sources(sources, skip, on_error)):
            for kind in args.only:
                refuse_links(path_of(kind, name), out)
                write_png(path_of(kind, name), MAKERS[kind](image, saliency))
            written += 1
            tell()
    print(
        f'{out}: {written} written'
        + (f', {kept} already existed' if kept else '')
        + (f', {len(errors)} skipped' if errors else '')
    )
    for error in errors:
        print(f'  skipped: {error}')
    if errors and not written and not kept:
        raise DataError('none of the inputs could be read')


if __name__ == '__main__':
    run_tool(main)
