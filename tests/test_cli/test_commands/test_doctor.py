"""``python -m mmkd_sod doctor`` and `tools/doctor.py`."""

import json

import pytest

from mmkd_sod.__main__ import main
from tests.conftest import ROOT
from tests.runs import DEMO, TINY_STUDENT, on, tool


@pytest.fixture(autouse=True)
def _root(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_json_is_all_of_stdout(scenes, capsys):
    main(
        [
            'doctor',
            DEMO.format('student'),
            '--json',
            '--images',
            '1',
            '--steps',
            '1',
            '--cfg-options',
            *on(scenes),
            *TINY_STUDENT,
        ]
    )
    found = json.loads(capsys.readouterr().out)
    assert found['ok'] and found['errors'] == []
    assert found['config'].endswith('scenes_gfl_student.py')
    assert found['sections']['steps']['eta_seconds'] > 0


@pytest.mark.parametrize(
    'start',
    [lambda *args: main(['doctor', *args]), lambda *args: tool('doctor', *args)],
    ids=['command', 'tool'],
)
def test_a_run_that_would_fail_leaves_with_1(tmp_path, start, capsys):
    path = tmp_path / 'broken.py'
    path.write_text("model = dict(type='NoSuchModel')\n")
    with pytest.raises(SystemExit) as exit_info:
        start(str(path))
    assert exit_info.value.code == 1
    out = capsys.readouterr().out
    assert 'no train_dataloader' in out and 'NoSuchModel' in out and 'Traceback' not in out


def test_the_environment_is_examined_without_a_config(capsys):
    main(['doctor', '--environment', '--json'])
    found = json.loads(capsys.readouterr().out)
    assert list(found['sections']) == ['versions']
    assert found['sections']['versions']['operators'] in ('compiled', 'plain torch')


def test_nothing_to_examine_leaves_with_2(capsys):
    with pytest.raises(SystemExit) as exit_info:
        main(['doctor'])
    assert exit_info.value.code == 2 and '--environment' in capsys.readouterr().err


def test_a_config_that_is_not_there_leaves_with_2(capsys):
    with pytest.raises(SystemExit) as exit_info:
        main(['doctor', 'none.py'])
    assert exit_info.value.code == 2
    assert "config 'none.py' does not exist" in capsys.readouterr().err
