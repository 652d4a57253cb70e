"""Whatever is killed at a random moment is finished by the same command, with the same result."""

import multiprocessing
import os
import random
import signal
import sys
import time
from functools import partial

import pytest
import torch
from mmengine.config import Config

from mmkd_sod.apis.weak_label_writer import WeakLabelWriter
from mmkd_sod.datasets import UnlabelledImageDataset
from mmkd_sod.deployment.shipment import FILES, ship
from mmkd_sod.models.saliency_inferencer import SaliencyInferencer
from mmkd_sod.utils.downloads import fetch
from tests.methods import build, runner
from tests.outcomes import record
from tests.runs import tool
from tests.saliency import save_network
from tests.servers import serving
from tests.shipments import tiny
from tests.sod_data import write_set
from tests.test_engine.test_hooks.test_step_seed_hook import differences, final_state

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == 'win32', reason='forks')]


def _child(work, folder):
    """Run the work in a process of its own, without output."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(os.open(folder.parent / f'{folder.name}.log', os.O_WRONLY | os.O_CREAT), 2)
    torch.set_num_threads(1)
    try:
        work(folder)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        os._exit(1)
    os._exit(0)


def _attempt(work, folder, delay=None) -> int:
    """Run the work, or kill it after some seconds; return the exit code."""
    process = multiprocessing.get_context('fork').Process(target=_child, args=(work, folder))
    process.start()
    process.join(delay)
    if process.is_alive():
        process.kill()
    process.join()
    return process.exitcode


def kill_at_random(work, same, tmp_path, kills, seed=0) -> dict:
    """Kill some work until it was killed often enough; compare each result with an undisturbed one.

    Args:
        work (Callable): Takes the folder of its results, in which it continues.
        same (Callable): Raises unless two folders hold the same results.
        tmp_path (Path): Where the folders are made.
        kills (int): Kills, at random moments of the time that the undisturbed work takes.
        seed (int): Seed of the moments.

    Returns:
        dict: Counts: ``kills`` and ``results``, each of which equals the undisturbed one.
    """
    rng, straight = random.Random(seed), tmp_path / 'straight'
    straight.mkdir()
    began = time.monotonic()
    assert _attempt(work, straight) == 0, (tmp_path / 'straight.log').read_text()
    duration = time.monotonic() - began
    count = dict(kills=0, results=0)
    while count['kills'] < kills:
        folder = tmp_path / f'killed{count["results"]}'
        folder.mkdir()
        for delay in [rng.uniform(0, duration) for _ in range(4)] + [None]:
            code = _attempt(work, folder, delay if count['kills'] < kills else None)
            count['kills'] += code == -signal.SIGKILL
            if code != -signal.SIGKILL:
                break
        assert code == 0, folder.with_suffix('.log').read_text()
        same(straight, folder)
        count['results'] += 1
    return count


def same_files(straight, folder, skip=()):
    """Compare all files, weights by value; nothing else may be left."""
    first, second = (
        {path.relative_to(root) for path in root.rglob('*') if path.is_file()}
        for root in (straight, folder)
    )
    assert first == second
    for name in first:
        if name.suffix == '.pth':
            one, two = (
                torch.load(root / name, weights_only=True)['state_dict']
                for root in (straight, folder)
            )
            assert one.keys() == two.keys() and all(torch.equal(one[k], two[k]) for k in one)
        elif name.name not in skip:
            assert (straight / name).read_bytes() == (folder / name).read_bytes(), name


def same_states(straight, folder):
    assert differences(final_state(straight), final_state(folder)) == []
    assert not list(folder.glob('.epoch*'))


def training(tmp_path):
    model = build('cskd_resampled')
    return lambda folder: runner(
        'cskd_resampled', folder, steps=40, resume=True, model=model
    ).train(), same_states


def export(tmp_path):
    cfg, path = tiny('saliency', tmp_path, None)
    cfg.dump(tmp_path / 'student.py')
    return partial(_export, tmp_path / 'student.py', path), same_files


def _export(config, path, folder):
    if (folder / 'student.py').is_file():
        return  # finished by the run that was killed afterwards
    tool('export_student', config, path, '--out-dir', folder)


def shipping(tmp_path):
    pytest.importorskip('onnx')
    pytest.importorskip('onnxruntime')
    cfg, path = tiny('saliency', tmp_path, None)
    cfg.dump(tmp_path / 'student.py')

    def work(folder):
        if not (folder / 'out').exists():
            cfg = Config.fromfile(tmp_path / 'student.py')
            ship(cfg, path, folder / 'out', 'a_name', log=lambda line: None)

    def same(straight, folder):
        assert sorted(path.name for path in (folder / 'out').iterdir()) == sorted(FILES)
        # The card tells the time that an image took.
        same_files(straight, folder, skip=('CARD.md',))

    return work, same


def shipping_over(tmp_path):
    """Replace an export in a folder that holds a file of the user as well."""
    pytest.importorskip('onnx')
    pytest.importorskip('onnxruntime')
    cfg, path = tiny('saliency', tmp_path, None)
    cfg.dump(tmp_path / 'student.py')

    def work(folder):
        out = folder / 'out'
        if not out.exists():
            out.mkdir()
            (out / 'notes.txt').write_text('mine')
            for name in FILES:
                (out / name).write_text('old')
        texts = {(out / name).read_bytes() == b'old' for name in FILES}
        assert len(texts) == 1, 'a kill left old and new files'
        if texts == {True}:
            cfg = Config.fromfile(tmp_path / 'student.py')
            ship(cfg, path, out, 'a_name', force=True, log=lambda line: None)

    def same(straight, folder):
        assert (folder / 'out' / 'notes.txt').read_text() == 'mine'
        assert [path.name for path in folder.iterdir()] == ['out']
        same_files(straight, folder, skip=('CARD.md',))

    return work, same


def labels(tmp_path):
    root = write_set(tmp_path / 'set', shapes=[(40 + i, 60) for i in range(24)])
    network = save_network(tmp_path)

    def work(folder):
        dataset = UnlabelledImageDataset(data_root=str(root), data_prefix=dict(img_path='image'))
        images = [dataset.get_data_info(i) for i in range(len(dataset))]
        inferencer = SaliencyInferencer(*network, side=64, batch_size=2)
        WeakLabelWriter(inferencer, images, folder, root / 'image').run(show=False)

    def same(straight, folder):
        for path in folder.glob('stats.*'):
            path.unlink()  # one line per attempt and image, in the order of the attempts
        for path in straight.glob('stats.*'):
            path.unlink()
        same_files(straight, folder)

    return work, same


WORKS = dict(
    training=training, export=export, ship=shipping, ship_force=shipping_over, labels=labels
)


@pytest.mark.parametrize('kind', WORKS)
def test_killed_work_is_finished_with_equal_results(tmp_path, kind):
    work, same = WORKS[kind](tmp_path)
    count = kill_at_random(work, same, tmp_path, kills=10)
    assert count['kills'] == 10
    record('kills', kind, count)


def test_killed_downloads_are_finished_with_equal_results(tmp_path, monkeypatch):
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    content = random.Random(0).randbytes(400_000)
    with serving({'/w.bin': content}, delay=0.01, chunk=10_000) as server:

        def work(folder):
            fetch(f'{server.address}/w.bin', folder, progress=False)

        count = kill_at_random(work, same_files, tmp_path, kills=10)
        resumed = [wanted for _, wanted in server.requests if wanted]
    assert count['kills'] == 10 and resumed
    record('kills', 'downloads', count)
