"""``python -m mmkd_sod``: commands are found by listing the package, and load when chosen."""

import pytest

from mmkd_sod import __main__ as program
from mmkd_sod.cli import commands
from mmkd_sod.errors import ConfigError

COUNT = '''"""Count to a number, 100% of it.

More.
"""
from mmkd_sod.errors import ConfigError


def add_arguments(parser):
    parser.add_argument('number', type=int)


def run(args):
    if args.number < 0:
        raise ConfigError('a number below 0')
    print(*range(args.number))
    return args.number
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A package of commands: one that works, one that misses a package, one that is hidden."""
    (tmp_path / 'count_for_tests.py').write_text(COUNT)
    (tmp_path / 'broken_for_tests.py').write_text('"""Misses something."""\nimport no_such_package')
    (tmp_path / '_hidden.py').write_text('')
    monkeypatch.setattr(commands, '__path__', [str(tmp_path)])


def test_commands_are_the_modules_of_the_package(folder):
    assert program.command_names() == ['broken_for_tests', 'count_for_tests']


def test_every_command_has_a_help_line():
    for name in program.command_names():
        assert program.help_text(name)


def test_help_lists_every_command_and_imports_none(folder, capsys):
    with pytest.raises(SystemExit) as exit_info:
        program.main(['--help'])
    out = capsys.readouterr().out
    assert exit_info.value.code == 0
    assert 'Count to a number, 100% of it.' in out and 'Misses something.' in out


def test_a_command_runs_and_its_code_is_the_exit_code(folder, capsys):
    program.main(['count_for_tests', '0'])
    with pytest.raises(SystemExit) as exit_info:
        program.main(['count_for_tests', '2'])
    assert exit_info.value.code == 2 and capsys.readouterr().out == '\n0 1\n'


def test_a_commands_error_is_one_sentence(folder, capsys):
    with pytest.raises(SystemExit) as exit_info:
        program.main(['count_for_tests', '--', '-1'])
    assert exit_info.value.code == 2
    assert capsys.readouterr().err == f'count_for_tests: error: {ConfigError("a number below 0")}\n'


@pytest.mark.parametrize('argv', [[], ['no_such_command']])
def test_without_a_command_the_program_says_what_there_is(folder, argv, capsys):
    with pytest.raises(SystemExit) as exit_info:
        program.main(argv)
    assert exit_info.value.code == 2 and 'COMMAND' in capsys.readouterr().err
