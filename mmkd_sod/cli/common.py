"""Shared by the command-line tools: arguments, config loading and the printing of errors."""

import argparse
import errno
import io
import os
import os.path as osp
import select
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from mmengine.config import Config, DictAction

from mmkd_sod.cli.errors import explained
from mmkd_sod.errors import ConfigError, UserError
from mmkd_sod.utils.config_files import read_config_file

# Exit codes: a user's mistake, and an interruption (128 + SIGINT, as shells have it).
EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130
# The reader of the output is gone (128 + SIGPIPE).
EXIT_CLOSED_OUTPUT = 141
# Set to 1: the traceback of a user's mistake is shown as well.
TRACEBACK = 'MMKD_TRACEBACK'


class _Options(DictAction):
    """mmengine's key=value options, which lose the spaces of paths; these keep them."""

    def __call__(self, parser, namespace, values, option_string=None):
        for value in values or ():
            if not value.partition('=')[0].strip() or '=' not in value:
                parser.error(f"--cfg-options: {value!r} has no '='; give key=value")
        try:
            super().__call__(parser, namespace, values, option_string)
        except Exception as error:  # of many kinds, all of them about a value
            parser.error(f'--cfg-options: {" ".join(values)} cannot be read ({error}); correct it')

    @staticmethod
    def _parse_iterable(val: str):
        if ' ' in val and ',' not in val and val[0] not in '([':
            return DictAction._parse_int_float_bool(val.strip('\'"'))
        return DictAction._parse_iterable(val)


def add_cfg_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--cfg-options``, as in mmdet's tools."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=_Options,
        help='settings that override the config, as key=value; lists as key="[a,b]" or key=a,b',
    )


def tool_parser(description: str) -> argparse.ArgumentParser:
    """A parser with the arguments that every tool on a config takes, named as mmdet's are."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--work-dir', help='folder of logs and models; default: work_dirs/<config name>'
    )
    add_cfg_options(parser)
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='how the processes of a distributed run were started',
    )
    # torch.distributed.launch passes one or the other.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    return parser


def read_config(name: str) -> Config:
    """Read a config by the path of its file, or by ``'package::folder/name.py'``.

    Args:
        name (str): For instance ``'mmkd_sod::demo/bccd_gfl_student.py'``.

    Raises:
        ConfigError: There is no such file, it is not valid Python, or one that it names is missing.
    """
    if '::' in name:
        try:
            return read_config_file(name)
        except ConfigError:
            raise
        except (OSError, AssertionError, ValueError) as error:
            raise ConfigError(
                f"config '{name}' is not found in that package; give "
                "'<package>::<folder>/<name>.py' or the path of a file"
            ) from error
    if not osp.isfile(name):
        raise ConfigError(f"config '{name}' does not exist; give the path of a config file")
    if name.endswith('.py'):
        try:
            compile(Path(name).read_bytes(), name, 'exec')
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise ConfigError(
                f"config '{name}' is not valid Python ({error}); correct it"
            ) from error
    try:
        return read_config_file(name)
    except FileNotFoundError as error:
        raise ConfigError(
            f"config '{name}' names a file that does not exist ({error}); correct its `_base_`"
        ) from error


def override(cfg: Config, args: argparse.Namespace) -> None:
    """Merge ``--cfg-options`` into a config.

    Raises:
        ConfigError: The overrides do not fit it.
    """
    if args.cfg_options is None:
        return
    try:
        cfg.merge_from_dict(args.cfg_options)
    except Exception as error:  # of many kinds, all of them about the options
        raise ConfigError(
            f"--cfg-options do not fit '{args.config}' ({type(error).__name__}: "
            f'{error}); correct them'
        ) from error


def load_config(args: argparse.Namespace) -> Config:
    """The config of a tool's arguments, with work_dir, overrides and launcher set.

    ``work_dir`` is, in this order: the argument, the config's, ``work_dirs/<config name>``.

    Raises:
        ConfigError: The file does not exist, is not a config, or the overrides do not fit it.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = read_config(args.config)
    cfg.launcher = args.launcher
    override(cfg, args)
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = osp.join('work_dirs', osp.splitext(osp.basename(args.config))[0])
    return cfg


def make_work_dir(cfg: Config) -> None:
    """Make the folder of a run before anything is built.

    Raises:
        ConfigError: It cannot be made or written.
    """
    try:
        os.makedirs(cfg.work_dir, exist_ok=True)
        if not os.access(cfg.work_dir, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise ConfigError(
            f"work_dir '{cfg.work_dir}' cannot be written ({error.strerror}); give "
            'another with --work-dir'
        ) from error


def comparison_parser(description: str, rows: int) -> argparse.ArgumentParser:
    """A parser for tools that measure several models on one test set and paint a panel.

    Args:
        description (str): The tool's docstring, shown as it is.
        rows (int): Default number of images in the panel.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--data', required=True, help='config whose test set is measured')
    parser.add_argument(
        '--model',
        required=True,
        nargs=3,
        action='append',
        metavar=('TITLE', 'CONFIG', 'CHECKPOINT'),
        help='may be given repeatedly',
    )
    parser.add_argument('--out', required=True, help='folder of scores.json and panel.png')
    parser.add_argument('--rows', type=int, default=rows, help='images in the panel, spread evenly')
    parser.add_argument('--device', help='default: a GPU where there is one')
    return parser


def evenly(count: int, wanted: int) -> list[int]:
    """At most ``wanted`` of the numbers below ``count``, spread evenly.

    Raises:
        ConfigError: None is wanted.
    """
    if wanted < 1:
        raise ConfigError(f'--rows {wanted} must be at least 1; leave it out for the default')
    step = max(1, count // wanted)
    return list(range(step // 2, count, step))[:wanted]


def print_scores(scores: dict[str, dict[str, float]], digits: int) -> None:
    """Print a table, one line per model, its title first."""
    names = list(next(iter(scores.values())))
    print(' | '.join(['', *names]) + '\n' + ' | '.join(['---'] * (len(names) + 1)))
    for title, row in scores.items():
        print(' | '.join([title, *(f'{row[name]:.{digits}f}' for name in names)]))


def require_file(path: str, what: str) -> None:
    """Refuse a local path that does not exist; addresses are left to the loader.

    Raises:
        ConfigError: The file is missing.
    """
    if '://' not in path and not osp.isfile(path):
        raise ConfigError(f"{what} '{path}' does not exist; give the path of a file")


def _interrupted(error: BaseException | None) -> bool:
    """Whether an error is, or began as, an interruption that a library re-raised."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _exit_interrupted(name: str) -> NoReturn:
    print(f'{name}: interrupted; checkpoints are kept; resume with --resume', file=sys.stderr)
    raise SystemExit(EXIT_INTERRUPTED) from None


def _exit_mistake(name: str, mistake: UserError) -> NoReturn:
    if os.environ.get(TRACEBACK) == '1':
        traceback.print_exception(mistake)
    # From a worker process comes its whole traceback; the last line is the error.
    kind = type(mistake)
    sentence = str(mistake).rpartition(f'{kind.__module__}.{kind.__qualname__}: ')[2]
    print(f'{name}: error: {" ".join(sentence.split())}', file=sys.stderr)
    raise SystemExit(EXIT_USER_ERROR) from None


@contextmanager
def quiet_output() -> Iterator[None]:
    """End quietly where nobody reads the output any more, as after ``| head``.

    File names of any bytes can be printed inside.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors='backslashreplace')
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        output = select.poll()
        output.register(sys.stdout, 0)
        if not any(event & select.POLLERR for _, event in output.poll(0)):
            raise  # It was another pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(EXIT_CLOSED_OUTPUT) from None


def run_tool(main: Callable[[], int | None], name: str | None = None) -> None:
    """Run a tool and print its errors.

    - A user's mistake (``UserError``) is one sentence, exit code 2.
    - A closed output ends it without a word, exit code 141.
    - An interruption says that the run can be resumed, exit code 130.
    - Any other error passes with its traceback, hints below it (``explained``).
    - A code other than 0 that the tool returns is the exit code.

    Args:
        main (Callable): The tool.
        name (str, optional): Printed before the sentence; default: the program's name.
    """
    name = name or osp.basename(sys.argv[0])
    try:
        with quiet_output():
            code = main()
    except BaseException as error:
        if _interrupted(error):
            _exit_interrupted(name)
        shown = explained(error) if isinstance(error, Exception) else error
        if isinstance(shown, UserError):
            _exit_mistake(name, shown)
        raise
    if code:
        raise SystemExit(code)


def run_command(command: ModuleType) -> None:
    """Run a module of ``mmkd_sod.cli.commands`` as a separate tool (`tools/NAME.py`)."""
    parser = argparse.ArgumentParser(description=(command.__doc__ or '').partition('\n')[0])
    command.add_arguments(parser)
    args = parser.parse_args()
    run_tool(lambda: command.run(args))
