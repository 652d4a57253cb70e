"""`python -m mmkd_sod ship` and tools/ship.py: arguments, and what is printed."""

import pytest

from mmkd_sod.__main__ import main
from mmkd_sod.deployment import shipment
from mmkd_sod.deployment.agreement import Agreement
from tests.runs import tool

CONFIG = 'configs/demo/human_seg_scfnet_student.py'


@pytest.fixture
def calls(monkeypatch, tmp_path):
    """What the command hands on; nothing is exported."""
    seen = []

    def ship(cfg, checkpoint, out, *args):
        seen.append((cfg, checkpoint, str(out), *args))
        return Agreement(1, dict(mAP=0.5), dict(mAP=0.5001), dict(mAP=1e-4), 10.0, 5.0)

    monkeypatch.setattr(shipment, 'ship', ship)
    (tmp_path / 'a.pth').write_bytes(b'')
    return seen


def test_arguments_are_handed_on(calls, tmp_path, capsys):
    main(
        [
            'ship',
            CONFIG,
            str(tmp_path / 'a.pth'),
            '--out',
            'x',
            '--split',
            'val',
            '--force',
            '--cfg-options',
            'model.decode_head.channels=8',
        ]
    )
    cfg, *rest = calls[0]
    assert cfg.model.decode_head.channels == 8
    assert rest == [str(tmp_path / 'a.pth'), 'x', 'human_seg_scfnet_student', 'val', True]
    out = capsys.readouterr().out
    assert 'difference 1.0e-04' in out and 'x: config.py, weights.pth, model.onnx' in out


def test_the_tool_is_the_same_command(calls, tmp_path, capsys):
    tool('ship', CONFIG, tmp_path / 'a.pth', '--out', 'x', '--name', 'n')
    assert calls[0][1:] == (str(tmp_path / 'a.pth'), 'x', 'n', 'test', False)


@pytest.mark.parametrize(
    'config, checkpoint, part',
    [
        ('nowhere.py', 'a.pth', "config 'nowhere.py' does not exist"),
        (CONFIG, 'nowhere.pth', "checkpoint 'nowhere.pth' does not exist"),
    ],
)
def test_missing_files_are_told(calls, config, checkpoint, part, capsys):
    with pytest.raises(SystemExit) as exit_info:
        main(['ship', config, checkpoint, '--out', 'x'])
    assert exit_info.value.code == 2 and part in capsys.readouterr().err
    assert not calls
