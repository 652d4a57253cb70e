"""The command that makes the scenes."""

import runpy

import pytest

from mmkd_sod.errors import DataError


def test_make_scenes(root, tmp_path, capsys):
    main = runpy.run_path(str(root / 'tools' / 'make_scenes.py'))['main']
    out = str(tmp_path / 'scenes')
    small = ['--out', out, '--train', '3', '--val', '2', '--size', '80', '64']
    main(small)
    said = capsys.readouterr()
    assert '3 + 2 scenes made' in said.out and '5/5' in said.err
    main(small)
    assert 'nothing to do' in capsys.readouterr().out
    with pytest.raises(DataError, match='remove it or give another folder'):
        main(['--out', out, '--seed', '1'])
