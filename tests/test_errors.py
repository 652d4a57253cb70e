"""A user's mistake is told in one sentence, whatever its kind."""

import inspect

import pytest

from mmkd_sod import errors
from mmkd_sod.cli.common import EXIT_USER_ERROR, run_tool

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]


@pytest.mark.parametrize('kind', KINDS)
def test_tools_tell_it_in_one_line(kind, capsys):
    assert issubclass(kind, errors.UserError) and issubclass(kind, ValueError)

    def fail():
        raise kind('what came,\n    what was wanted')

    with pytest.raises(SystemExit) as exit_info:
        run_tool(fail, 'tool')
    assert exit_info.value.code == EXIT_USER_ERROR
    assert capsys.readouterr().err == 'tool: error: what came, what was wanted\n'
