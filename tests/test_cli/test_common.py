"""What the command-line tools share."""

from types import ModuleType

import pytest
from mmengine.config import Config

from mmkd_sod.cli.common import (
    load_config,
    make_work_dir,
    read_config,
    require_file,
    run_command,
    run_tool,
    tool_parser,
)
from mmkd_sod.errors import ConfigError


def parse(*args):
    return tool_parser('x').parse_args([str(a) for a in args])


def test_work_dir_and_overrides(tmp_path):
    path = tmp_path / 'a b ü.py'
    path.write_text('x = dict(y=1)\n')
    cfg = load_config(parse(path, '--cfg-options', 'x.y=2', 'z=[1,2]'))
    assert cfg.x.y == 2 and cfg.z == [1, 2] and cfg.launcher == 'none'
    assert cfg.work_dir == 'work_dirs/a b ü'
    assert load_config(parse(path, '--work-dir', 'w')).work_dir == 'w'
    path.write_text("work_dir = 'of the config'\n")
    assert load_config(parse(path)).work_dir == 'of the config'


def test_missing_files():
    with pytest.raises(ConfigError, match=r"config 'no\.py' does not exist"):
        load_config(parse('no.py'))
    with pytest.raises(ConfigError, match=r"checkpoint 'no\.pth' does not exist"):
        require_file('no.pth', 'checkpoint')
    require_file('https://a.b/c.pth', 'checkpoint')


def test_configs_of_packages():
    assert read_config('mmdet::gfl/gfl_r50_fpn_1x_coco.py').model.type == 'GFL'
    for name in ('mmdet::gfl/nothing.py', 'no_such_package::a/b.py', 'mmdet::'):
        with pytest.raises(ConfigError, match='is not found in that package'):
            read_config(name)


def test_errors_are_one_sentence(capsys):
    def fail():
        raise ConfigError('what came,\n   what was wanted')

    with pytest.raises(SystemExit) as exit_info:
        run_tool(fail)
    assert exit_info.value.code == 2
    out = capsys.readouterr()
    assert out.err.endswith('error: what came, what was wanted\n') and 'Traceback' not in out.err


def test_the_traceback_of_a_mistake_is_there_for_who_asks(capsys, monkeypatch):
    def fail():
        raise ConfigError('what came') from KeyError('inner')

    monkeypatch.setenv('MMKD_TRACEBACK', '1')
    with pytest.raises(SystemExit) as exit_info:
        run_tool(fail, 'tool')
    error = capsys.readouterr().err
    assert exit_info.value.code == 2 and error.endswith('\ntool: error: what came\n')
    assert "KeyError: 'inner'" in error and 'in fail\n' in error


def test_work_dirs_are_made_or_refused(tmp_path, monkeypatch):
    cfg = Config(dict(work_dir=str(tmp_path / 'a' / 'b')))
    make_work_dir(cfg)
    make_work_dir(cfg)
    assert (tmp_path / 'a' / 'b').is_dir()
    monkeypatch.setattr('os.access', lambda path, mode: False)
    with pytest.raises(ConfigError, match=r"a/b' cannot be written \(Permission denied\)"):
        make_work_dir(cfg)
    (tmp_path / 'file').write_text('')
    with pytest.raises(ConfigError, match=r"file/c' cannot be written \(Not a directory\)"):
        make_work_dir(Config(dict(work_dir=str(tmp_path / 'file' / 'c'))))


@pytest.mark.parametrize('disguised', [False, True])
def test_interruptions_say_how_to_go_on(capsys, disguised):
    def interrupt():
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            if disguised:  # as mmengine does it while it formats a config
                raise SyntaxError('Failed to format the config file')  # noqa: B904
            raise

    with pytest.raises(SystemExit) as exit_info:
        run_tool(interrupt)
    assert exit_info.value.code == 130
    assert '--resume' in capsys.readouterr().err


def test_other_errors_pass():
    with pytest.raises(ZeroDivisionError):
        run_tool(lambda: 1 / 0)


def test_exit_codes_pass():
    run_tool(lambda: None)
    run_tool(lambda: 0)
    with pytest.raises(SystemExit) as exit_info:
        run_tool(lambda: 3)
    assert exit_info.value.code == 3


def test_a_command_is_a_tool_too(monkeypatch, capsys):
    command = ModuleType('count', 'Count to a number.\n\nMore.')
    command.add_arguments = lambda parser: parser.add_argument('number', type=int)
    command.run = lambda args: print(*range(args.number))
    monkeypatch.setattr('sys.argv', ['count.py', '3'])
    run_command(command)
    assert capsys.readouterr().out == '0 1 2\n'
    monkeypatch.setattr('sys.argv', ['count.py', '--help'])
    with pytest.raises(SystemExit):
        run_command(command)
    assert 'Count to a number.' in capsys.readouterr().out
