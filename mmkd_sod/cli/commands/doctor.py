"""Look at a config before a long run: data, weights, teacher, loss terms, time.

Exit code 0: the run can start. 1: it would fail, or would distil nothing useful; the report
says why. 2: the config cannot be read.
"""

import json
import sys

from mmkd_sod.cli.common import add_cfg_options, load_config
from mmkd_sod.cli.errors import explained
from mmkd_sod.errors import ConfigError


def add_arguments(parser) -> None:
    """Arguments of the command."""
    parser.add_argument('config', nargs='?', help='config file')
    parser.add_argument(
        '--environment',
        action='store_true',
        help='print versions, operators in use and the device, without a config',
    )
    add_cfg_options(parser)
    parser.add_argument(
        '--images', type=int, default=8, help='validation images to score (default: 8)'
    )
    parser.add_argument('--steps', type=int, default=4, help='training steps to time (default: 4)')
    parser.add_argument('--json', action='store_true', help='print the report as JSON')


def _show(title: str) -> None:
    """One line that a terminal's next line overwrites."""
    if sys.stderr.isatty():
        print(f'\r\033[K{title} ...' if title else '\r\033[K', end='', file=sys.stderr, flush=True)


def run(args) -> int:
    """Examine the config and print the report; the exit code."""
    # The examination needs mmengine's whole runner; `--help` does not.
    from mmkd_sod.doctor import examine_config, examine_environment

    if args.environment:
        report = examine_environment()
    elif args.config is None:
        raise ConfigError(
            'no config is given; the doctor examines a config or, with '
            '--environment, the installation; give one of them'
        )
    else:
        args.work_dir, args.launcher, args.local_rank = None, 'none', 0
        cfg = load_config(args)
        try:
            report = examine_config(
                cfg, max(args.images, 1), max(args.steps, 1), on_section=_show, explain=explained
            )
        finally:
            _show('')
    print(json.dumps(report.as_dict(), indent=2) if args.json else report.as_text())
    return report.exit_code
