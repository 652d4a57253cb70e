"""Disks, permissions, closed outputs and odd options end in one sentence."""

import errno
import json
import os
import subprocess
import sys
from contextlib import contextmanager

import pytest
from mmengine.config import Config

from mmkd_sod.__main__ import main
from tests.runs import ROOT, tool
from tests.shipments import tiny
from tests.work_dirs import STUDENT, work_dir


def ended(capsys, run) -> str:
    """The sentence with which a tool refuses."""
    with pytest.raises(SystemExit) as end:
        run()
    err = capsys.readouterr().err
    assert end.value.code == 2 and 'Traceback' not in err
    return err.strip().split('\n')[-1]


@pytest.fixture
def full_disk(monkeypatch):
    """Let every replacement of a file fail as on a full disk."""

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr('mmkd_sod.utils.files.os.replace', full)


def report(folder, *args):
    work_dir(folder / 'run', STUDENT)
    return lambda: main(['report', str(folder / 'run'), '--images', '0', *map(str, args)])


def test_the_report_on_a_full_disk(tmp_path, capsys, request):
    out = tmp_path / 'out' / 'report.html'
    run = report(tmp_path, '--out', out)
    request.getfixturevalue('full_disk')
    sentence = ended(capsys, run)
    assert f"'{out}' cannot be read or written (No space left" in sentence
    assert not list(out.parent.iterdir())


def test_the_report_below_a_file(tmp_path, capsys):
    (tmp_path / 'file').write_text('here')
    run = report(tmp_path, '--out', tmp_path / 'file' / 'a.html')
    assert f"'{tmp_path}/file' cannot be read or written" in ended(capsys, run)
    assert (tmp_path / 'file').read_text() == 'here'


@pytest.mark.skipif(os.getuid() == 0, reason='root may write anywhere')
def test_the_report_in_a_read_only_folder(tmp_path, capsys):
    (tmp_path / 'out').mkdir(mode=0o500)
    assert 'Permission' in ended(capsys, report(tmp_path, '--out', tmp_path / 'out' / 'a.html'))


def test_scenes_on_a_full_disk(tmp_path, capsys, full_disk):
    run = lambda: tool('make_scenes', '--out', tmp_path / 'set', '--train', 1, '--val', 1)  # noqa: E731
    assert 'No space left' in ended(capsys, run) and not list(tmp_path.iterdir())


def test_conversion_on_a_full_disk(tmp_path, capsys, full_disk):
    import cv2
    import numpy as np

    for folder in ('Annotations', 'JPEGImages', 'ImageSets/Main'):
        (tmp_path / 'voc' / folder).mkdir(parents=True)
    cv2.imwrite(str(tmp_path / 'voc/JPEGImages/a.jpg'), np.zeros((9, 9, 3), np.uint8))
    box = '<xmin>2</xmin><ymin>2</ymin><xmax>6</xmax><ymax>6</ymax>'
    (tmp_path / 'voc/Annotations/a.xml').write_text(
        f'<annotation><object><name>cat</name><bndbox>{box}</bndbox></object></annotation>'
    )
    (tmp_path / 'voc/ImageSets/Main/train.txt').write_text('a\n')
    out = tmp_path / 'out'
    sentence = ended(
        capsys, lambda: tool('dataset_converters/voc_to_coco', tmp_path / 'voc', '--out', out)
    )
    assert f"'{out}/train.json'" in sentence and 'No space left' in sentence
    assert not list(out.iterdir())


@pytest.fixture(scope='module')
def network(tmp_path_factory):
    """A folder with a config, its checkpoint and three images."""
    folder = tmp_path_factory.mktemp('network')
    cfg, _ = tiny('saliency', folder, None)
    cfg.dump(folder / 'net.py')
    return folder


@pytest.fixture
def small_files(monkeypatch):
    """Let the operating system refuse files of more than some bytes, except copies of configs."""
    resource = pytest.importorskip('resource')
    limit, read = resource.RLIMIT_FSIZE, Config.fromfile
    soft, hard = resource.getrlimit(limit)

    def fromfile(*args, **kwargs):
        now = resource.getrlimit(limit)
        resource.setrlimit(limit, (soft, hard))
        try:
            return read(*args, **kwargs)
        finally:
            resource.setrlimit(limit, now)

    @contextmanager
    def limited(size: int):
        resource.setrlimit(limit, (size, hard))
        try:
            yield
        finally:
            resource.setrlimit(limit, (soft, hard))

    monkeypatch.setattr(Config, 'fromfile', staticmethod(fromfile))
    return limited


# How each tool writes to a folder, and the file that the system refuses.
WRITERS = {
    'export_student': ('--out-dir {out}', 'net.pth'),
    'ship': ('--out {out}', 'weights.pth'),
    'generate_weak_labels': ('--out {out} --images {data}/data/image --side 64', 'image/0.png'),
    'predict': ('{data}/data/image --out-dir {out} --side 64', 'maps/0.png'),
    'export_onnx': ('{out}/a.onnx --side 64', 'a.onnx'),
}


def writer(name, network, out):
    arguments = WRITERS[name][0].format(out=out, data=network).split()
    return lambda: tool(name, network / 'net.py', network / 'saliency.pth', *arguments)


@pytest.mark.parametrize('name', WRITERS)
def test_a_file_that_the_system_refuses(tmp_path, capsys, network, small_files, name):
    out = tmp_path / 'out'
    with small_files(300):
        sentence = ended(capsys, writer(name, network, out))
    assert f"'{out}/{WRITERS[name][1]}' cannot be read or written (File too large)" in sentence
    left = {path.name for path in tmp_path.rglob('*') if path.is_file()}
    # The key of the labels and the log of the attempts, with which the next run continues.
    assert left <= {'labels.json', 'stats.0of1.jsonl'}
    writer(name, network, out)()
    assert (out / WRITERS[name][1]).is_file()


@pytest.mark.parametrize('name', WRITERS)
def test_a_file_in_place_of_the_folder(tmp_path, capsys, network, name):
    (tmp_path / 'out').write_text('mine')
    sentence = ended(capsys, writer(name, network, tmp_path / 'out'))
    assert f"'{tmp_path}/out" in sentence
    assert (tmp_path / 'out').read_text() == 'mine' and len(list(tmp_path.iterdir())) == 1


def test_a_config_that_is_refused_leaves_the_earlier_weights(
    tmp_path, capsys, network, monkeypatch
):
    out = tmp_path / 'out'
    out.mkdir()
    for name in ('net.py', 'net.pth'):
        (out / name).write_text('old')

    def full(self, path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(Config, 'dump', full)
    sentence = ended(capsys, writer('export_student', network, f'{out} --force'))
    assert f"'{out}/net.py' cannot be read or written (No space left" in sentence
    assert {path.name: path.read_text() for path in out.iterdir()} == {
        'net.py': 'old',
        'net.pth': 'old',
    }


def test_a_refused_export_leaves_the_earlier_one(tmp_path, capsys, network, small_files):
    out = tmp_path / 'out'
    for name in ('weights.pth', 'CARD.md', 'mine.txt'):
        out.mkdir(exist_ok=True)
        (out / name).write_text('old')
    run = writer('ship', network, f'{out} --force')
    with small_files(300):
        ended(capsys, run)
    assert {path.name: path.read_text() for path in out.iterdir()} == {
        'weights.pth': 'old',
        'CARD.md': 'old',
        'mine.txt': 'old',
    }
    run()
    assert (out / 'mine.txt').read_text() == 'old' and (out / 'CARD.md').read_text() != 'old'


def test_a_config_that_cannot_be_copied(capsys, network):
    resource = pytest.importorskip('resource')
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    run = lambda: tool('test', network / 'net.py', network / 'saliency.pth')  # noqa: E731
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, hard))
    try:
        sentence = ended(capsys, run)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert 'a temporary file cannot be read or written (File too large)' in sentence


def test_an_error_of_the_code_of_a_config_keeps_its_traceback(tmp_path):
    (tmp_path / 'a.py').write_text("open('/')\n")
    with pytest.raises(IsADirectoryError):
        tool('doctor', tmp_path / 'a.py')


@pytest.mark.parametrize('option', ['abc', '=1', ''])
@pytest.mark.parametrize('name', ['train', 'test', 'export_student', 'ship', 'doctor'])
def test_options_without_key_or_value(capsys, name, option):
    arguments = dict(test=['b.pth'], export_student=['b.pth'], ship=['b.pth', '--out', 'c'])
    run = lambda: tool(name, 'a.py', *arguments.get(name, []), cfg_options=[option])  # noqa: E731
    assert '--cfg-options' in ended(capsys, run)


@pytest.mark.parametrize(
    'args', [['compat'], ['--help'], ['compat', '--json'], ['compat', '--help']], ids=str
)
def test_a_closed_output_is_no_traceback(args):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-m', 'mmkd_sod', *args],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    os.close(write)
    # argparse prints its help without looking at errors.
    assert done.returncode == (0 if '--help' in args else 141) and done.stderr == ''


def test_names_of_any_bytes_are_printed(tmp_path, monkeypatch):
    code = (
        'from mmkd_sod.cli.common import run_tool\nimport os\n'
        "run_tool(lambda: print(os.fsdecode(b'\\xff')))"
    )
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', code],
        capture_output=True,
        cwd=ROOT,
        env=dict(os.environ, PYTHONIOENCODING='utf-8'),
    )
    assert done.returncode == 0 and done.stdout == b'\\udcff\n'


def test_a_file_error_in_a_training_keeps_its_traceback():
    from mmengine.runner import Runner

    from mmkd_sod.cli.errors import explained

    class Run(Runner):
        def __init__(self):
            raise OSError(errno.ENOSPC, 'No space left on device', 'a.txt')

    try:
        Run()
    except OSError as error:
        assert "'a.txt' cannot be read or written" in str(explained(error))
    try:
        raise OSError('of no kind')
    except OSError as error:
        assert explained(error) is error


def test_the_report_skips_what_it_cannot_read_and_lists_it(tmp_path, capsys):
    folder = work_dir(
        tmp_path / 'run',
        STUDENT,
        val=[{'coco/bbox_mAP': float('nan'), 'coco/bbox_mAP_50': 0.5, 'step': 12}],
        test={'coco/bbox_mAP': float('inf'), 'coco/bbox_mAP_50': 0.25},
    )
    log = folder / '20260101_000000' / 'vis_data' / 'scalars.json'
    lines = log.read_bytes().splitlines()
    broken = [b'{"loss": 1, "st', b'{"loss": "\xff"}', b'[' * 100_000, b'{"step": 1e999}']
    odd = json.dumps(dict(loss=1e308, lr=[1], step=3, epoch=1, text='<b>')).encode()
    log.write_bytes(b'\n'.join([lines[0], *broken, odd, *lines[1:]]))
    (folder / '20260101_000000' / '20260101_000000.log').write_bytes(b'\xff\xfe per class results:')
    main(['report', str(folder), '--images', '0', '--out', str(tmp_path / 'a.html')])
    out = capsys.readouterr().out
    for number in range(2, 6):
        assert f"scalars.json' line {number} is not a logged record" in out
    assert 'has 2 NaN or infinite values of coco/bbox_mAP.' in out
    assert 'has 1 NaN or infinite values of loss.' in out
    page = (tmp_path / 'a.html').read_text()
    assert 'NaN or infinite values of coco/bbox_mAP' in page and 'line 3 is not a logged' in page
