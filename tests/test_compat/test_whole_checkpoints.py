"""Half a checkpoint is never picked up, and never stands in the way of a whole one."""

import multiprocessing
import os
import random
import resource
import signal
import sys
import threading
import time

import pytest
import torch
from mmengine.fileio import LocalBackend
from mmengine.hooks import CheckpointHook, Hook

from mmkd_sod.utils.checkpoint_files import is_complete, latest_checkpoint
from mmkd_sod.utils.files import write_durably
from tests.methods import FOUR, build, runner
from tests.test_engine.test_hooks.test_step_seed_hook import differences, final_state


def test_write_durably_replaces_and_clears_what_a_killed_process_left(tmp_path):
    path = tmp_path / 'epoch_1.pth'
    others = ['.epoch_1.best.host.77.pth', '.epoch_1.best.pth', '.epoch_12.host.77.pth']
    for name in ['.epoch_1.host.77.pth', *others]:
        (tmp_path / name).write_text('half')
    write_durably(b'one', path)
    LocalBackend().put(b'two', str(path))
    LocalBackend().put_text('tüo', str(tmp_path / 'new' / 'a.txt'))
    assert path.read_bytes() == b'two'
    assert (tmp_path / 'new' / 'a.txt').read_text(encoding='utf-8') == 'tüo'
    assert sorted(p.name for p in tmp_path.glob('.*')) == others


def test_text_that_every_rank_writes_is_taken_from_none(tmp_path):
    # mmengine's LoggerHook writes the scores of a test on all ranks at once.
    other = tmp_path / '.scores.host.77.json'
    other.write_text('of another rank, about to be moved')
    LocalBackend().put_text('{}', str(tmp_path / 'scores.json'))
    assert other.is_file() and (tmp_path / 'scores.json').read_text() == '{}'


@pytest.fixture
def limit():
    """Files may not grow beyond so many bytes: what a full disk does to a writer."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, old)


def test_a_full_disk_keeps_the_old_checkpoint(tmp_path, limit):
    runner('crosskd', tmp_path, steps=2, keep=1).train()
    old = latest_checkpoint(tmp_path)
    run = runner('crosskd', tmp_path, steps=4, keep=1, resume=True)
    limit(os.path.getsize(old) // 2)
    with pytest.raises(OSError, match='File too large'):
        run.train()
    assert latest_checkpoint(tmp_path) == old and is_complete(old)
    assert [path.name for path in tmp_path.glob('*.pth')] == ['epoch_1.pth']


def test_old_and_best_checkpoints_go_after_their_successors_are_there(tmp_path, monkeypatch):
    removed, remove = [], LocalBackend.remove

    def watched(backend, path):
        removed.append(
            (os.path.basename(path), {p.name for p in tmp_path.glob('*.pth') if is_complete(p)})
        )
        remove(backend, path)

    monkeypatch.setattr(LocalBackend, 'remove', watched)
    best = dict(
        type='CheckpointHook', interval=1, max_keep_ckpts=1, save_best='score', rule='greater'
    )

    class Score(Hook):
        def after_train_epoch(self, runner):
            hook = next(h for h in runner.hooks if isinstance(h, CheckpointHook))
            runner.train_loop._epoch += 1
            hook.after_val_epoch(runner, dict(score=runner.epoch))
            runner.train_loop._epoch -= 1

    run = runner('crosskd', tmp_path, steps=4, default_hooks=dict(checkpoint=best))
    run.register_hook(Score(), priority='LOWEST')
    run.train()
    assert [name for name, _ in removed] == ['epoch_1.pth', 'best_score_epoch_1.pth']
    assert 'epoch_2.pth' in removed[0][1] and 'best_score_epoch_2.pth' in removed[1][1]
    assert sorted(p.name for p in tmp_path.glob('*.pth')) == [
        'best_score_epoch_2.pth',
        'epoch_2.pth',
    ]


class Progress(Hook):
    """Appends every finished step to a file; from the first one on, waits to kill the process."""

    def __init__(self, path, how=None, delay=0.0):
        self.path, self.how, self.delay = path, how, delay

    def _kill(self):
        while True:
            time.sleep(self.delay)
            os.kill(os.getpid(), self.how)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        with open(self.path, 'a') as file:
            file.write(f'{runner.iter + 1}\n')
        if self.how is not None:
            threading.Thread(target=self._kill, daemon=True).start()


def _go_on(method, model, folder, steps, hook, size_limit):
    """In a process of its own: resume and train, perhaps until a file gets too large."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(1, 2)
    # A shell's background jobs start with this signal ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if size_limit:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size_limit, size_limit))
    try:
        runner(method, folder, steps=steps, hooks=[hook], resume=True, model=model).train()
        os._exit(0)
    except KeyboardInterrupt:
        os._exit(130)


def kill_often(method, folder, kills, seed) -> None:
    """Train with so many kills, some of them within the write of a checkpoint, and to the end."""
    rng, process = random.Random(seed), multiprocessing.get_context('fork').Process
    steps, folder, model = 12 * kills, folder / 'killed', build(method)
    folder.mkdir()
    progress, ends = folder / 'progress.txt', []
    signals = [signal.SIGINT, signal.SIGTERM, signal.SIGKILL, signal.SIGXFSZ]
    for i in range(kills + 1):
        newest, size = latest_checkpoint(folder), 0
        how = signals[i % 4] if i < kills else None
        if how == signal.SIGXFSZ:
            # Ends the process when a file has grown so far: within the next checkpoint.
            how, size = None, rng.randrange(4096, 100_000)
        hook = Progress(progress, how, rng.uniform(0, 0.3))
        child = process(target=_go_on, args=(method, model, folder, steps, hook, size))
        child.start()
        child.join()
        ends.append(child.exitcode)
        newest = latest_checkpoint(folder)
        kept = 0 if newest is None else torch.load(newest, weights_only=True)['meta']['iter']
        # At most one interval of two steps is lost.
        assert int(progress.read_text().split()[-1]) - kept <= 2
    wanted = (130, -signal.SIGTERM, -signal.SIGKILL, -signal.SIGXFSZ)
    assert ends == [wanted[i % 4] for i in range(kills)] + [0]
    straight = folder.parent / 'straight'
    runner(method, straight, steps=steps, model=build(method)).train()
    assert differences(final_state(straight), final_state(folder)) == []
    assert not list(folder.glob('.epoch*'))


@pytest.mark.skipif(sys.platform == 'win32', reason='forks')
def test_killed_runs_lose_nothing(tmp_path):
    kill_often('cskd_resampled', tmp_path, kills=4, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize('method', FOUR)
def test_fifty_kills(tmp_path, method):
    kill_often(method, tmp_path, kills=13, seed=1)


def test_a_validation_without_a_training_needs_no_back_end(tmp_path):
    # mmengine makes the hook's back end before a training only.
    hook = CheckpointHook(interval=1)
    hook.after_val_epoch(runner('crosskd', tmp_path, steps=1), dict(score=1.0))
    assert 'file_backend' not in vars(hook)
