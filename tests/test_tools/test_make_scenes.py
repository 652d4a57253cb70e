"""The command that makes the scenes."""
import runpy


def test_make_scenes(root, tmp_path, capsys):
    main = runpy.run_path(str(root / 'tools' / 'make_scenes.py'))['main']
    out = str(tmp_path / 'scenes')
    small = ['--out', out, '--train', '3', '--val', '2', '--size', '80', '64']
    assert main(small) == 0
    said = capsys.readouterr()
    assert '3 + 2 scenes made' in said.out and 'ETA' in said.err
    assert main(small) == 0
    assert 'nothing to do' in capsys.readouterr().out
    assert main(['--out', out, '--seed', '1']) == 2
    said = capsys.readouterr()
    assert not said.out and said.err.count('\n') == 1
    assert 'remove it or give another folder' in said.err
