"""Write one HTML page with curves, scores and pictures of finished runs.

python -m mmkd_sod report work_dirs/seed0 work_dirs/seed1 --out report.html
"""

import argparse
from pathlib import Path

from mmkd_sod.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument(
        'runs',
        nargs='+',
        metavar='RUN',
        help='work_dir of a run, or a folder of several; teacher=RUN, plain=RUN and distilled=RUN '
        'set the role where the dumped config does not',
    )
    parser.add_argument('--out', default='report.html', help='page to write; default: report.html')
    parser.add_argument('--title', help="default: the runs' config")
    parser.add_argument(
        '--metric',
        help='main score of the page, by its name in the log; '
        "default: the config's save_best, or the task's usual one",
    )
    parser.add_argument(
        '--images',
        type=int,
        default=4,
        help='images of the test split to predict on; 0 leaves them out',
    )
    parser.add_argument(
        '--score-thr', type=float, default=0.3, help='boxes below this score are not drawn'
    )
    parser.add_argument('--device', help='of the predictions; default: a GPU where there is one')
    parser.add_argument(
        '--trust-configs',
        action='store_true',
        help='draw pictures of runs whose configs name code, such as modules of your own; without '
        'it, only registered types of known packages are built',
    )
    parser.add_argument('--force', action='store_true', help='overwrite the page')


def run(args: argparse.Namespace) -> None:
    """Read the runs, predict, and write the page.

    Raises:
        ConfigError: The page exists, or no run logged the requested metric.
        DataError: A folder contains no run, or a log cannot be read.
    """
    out = Path(args.out)
    if out.exists() and not args.force:
        raise ConfigError(f"--out: '{out}' exists; give another file or add --force")
    if args.images < 0:
        raise ConfigError(f'--images: {args.images} is less than 0; give 0 to leave them out')
    from mmkd_sod.report.page import render
    from mmkd_sod.report.predictions import gallery
    from mmkd_sod.report.runs import find_runs
    from mmkd_sod.report.studies import group, join_tests
    from mmkd_sod.utils.files import atomic_path

    found = find_runs(args.runs)
    runs, notes = join_tests(found)
    notes = [*notes, *(f'Skipped: {text}.' for run in found for text in run.skipped)]
    if not runs:
        raise ConfigError(
            f'none of {len(args.runs)} arguments is a training run or has a role; '
            'add the runs that wrote the tested checkpoints'
        )
    logged = sorted({key for run in runs for split in ('val', 'test') for key in run.scores(split)})
    if args.metric is not None and args.metric not in logged:
        raise ConfigError(
            f"--metric: no run logs '{args.metric}'; choose one of "
            f'{", ".join(logged) or "none, since there are no scores"}'
        )
    studies = group(runs)
    galleries = [
        gallery(study, args.images, args.score_thr, args.device, args.trust_configs)
        for study in studies
    ]
    title = args.title or f'Distillation report: {studies[0].name}'
    page = render(studies, galleries, title, notes, args.metric, args.score_thr)
    with atomic_path(out) as temporary:
        temporary.write_text(page, encoding='utf-8', errors='replace')
    for text in (*notes, *(note for found in galleries for note in found.notes)):
        print(f'note: {text}')
    print(f'{out}: {len(runs)} runs, {out.stat().st_size / 2**20:.2f} MiB')
