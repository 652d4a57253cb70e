"""``python -m mmkd_sod COMMAND``: the commands are the modules of `mmkd_sod/cli/commands/`."""

import argparse
import ast
import importlib
import importlib.util
import pkgutil
import sys
from pathlib import Path

from mmkd_sod.cli import commands
from mmkd_sod.cli.common import quiet_output, run_tool
from mmkd_sod.version import __version__


def command_names() -> list:
    """Names of the commands, sorted: the public modules and packages of `mmkd_sod.cli.commands`."""
    return sorted(
        module.name
        for module in pkgutil.iter_modules(commands.__path__)
        if not module.name.startswith('_')
    )


def help_text(name: str) -> str:
    """First line of a command's docstring, read without importing the command."""
    spec = importlib.util.find_spec(f'{commands.__name__}.{name}')
    path = Path(spec.origin) if spec and spec.origin else Path(name)
    doc = ast.get_docstring(ast.parse(path.read_text(encoding='utf-8')))
    return (doc or '').partition('\n')[0]


def parse_args(argv: list) -> argparse.Namespace:
    """Arguments of the command line; ``run`` is the chosen command's function.

    Only the chosen command is imported, so that one which misses an optional package leaves the
    others working.
    """
    parser = argparse.ArgumentParser(prog='python -m mmkd_sod', description=__doc__.split(':')[0])
    parser.add_argument('--version', action='version', version=f'mmkd_sod {__version__}')
    subparsers = parser.add_subparsers(dest='command', metavar='COMMAND', required=True)
    chosen = next((arg for arg in argv if not arg.startswith('-')), None)
    for name in command_names():
        text = help_text(name).replace('%', '%%')
        subparser = subparsers.add_parser(name, help=text, description=text)
        if name == chosen:
            command = importlib.import_module(f'{commands.__name__}.{name}')
            command.add_arguments(subparser)
            subparser.set_defaults(run=command.run)
    return parser.parse_args(argv)


def main(argv: list | None = None) -> None:
    """Run the command that the arguments name and leave with its exit code."""
    with quiet_output():
        args = parse_args(sys.argv[1:] if argv is None else argv)
    run_tool(lambda: args.run(args), name=args.command)


if __name__ == '__main__':
    main()
