"""make_rgbd_groups.py: makes the set, says so, and refuses what would be overwritten."""

import subprocess
import sys


def run(root, *args):
    return subprocess.run(
        [sys.executable, '-W', 'ignore', 'tools/make_rgbd_groups.py', *args],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_from_the_command_line(root, tmp_path):
    args = [
        '--out',
        str(tmp_path / 'groups'),
        '--train',
        '2',
        '--val',
        '1',
        '--images',
        '2',
        '--size',
        '64',
        '64',
    ]
    done = run(root, *args)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith('2 + 1 groups of 2 made\n')
    assert len(list((tmp_path / 'groups').rglob('*.jpg'))) == 6
    assert 'nothing to do' in run(root, *args).stdout
    refused = run(root, *args[:-2], '96', '96')
    assert refused.returncode == 2 and 'height=64 instead of 96' in refused.stderr
    assert 'Traceback' not in refused.stderr
