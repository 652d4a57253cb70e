"""A resumed checkpoint cannot name files to remove."""

import shutil
from types import SimpleNamespace

import pytest
import torch
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.hooks import CheckpointHook

from mmkd_sod.compat.resumed_paths import keep_own_paths, own_addresses, own_best
from tests.methods import loader, runner


class Rising(BaseMetric):
    """A score that is better at every validation."""

    score = 0.0

    def process(self, data_batch, data_samples):
        self.results.append(0)

    def compute_metrics(self, results):
        Rising.score += 1
        return dict(score=Rising.score)


def scored(folder, steps, **options):
    hook = dict(
        type='CheckpointHook', interval=1, max_keep_ckpts=1, save_best='score', rule='greater'
    )
    return runner(
        'crosskd',
        folder,
        steps=steps,
        default_hooks=dict(checkpoint=hook),
        val_dataloader=loader('crosskd'),
        val_cfg=dict(),
        val_evaluator=Evaluator([Rising()]),
        **options,
    )


def edit(path, target, **info):
    checkpoint = torch.load(path, weights_only=True)
    checkpoint['message_hub']['runtime_info'].update(info)
    checkpoint['message_hub']['resumed_keys'].update(dict.fromkeys(info, True))
    torch.save(checkpoint, target)


@pytest.fixture
def trained(tmp_path):
    """A run of one epoch, a precious folder beside it, and precious checkpoints inside of it."""
    scored(tmp_path / 'run', 2).train()
    (tmp_path / 'precious').mkdir()
    (tmp_path / 'precious' / 'thesis.txt').write_text('years of work')
    (tmp_path / 'precious' / 'best_x.pth').write_text('another best')
    return tmp_path


@pytest.mark.parametrize(
    'named',
    ['precious', 'precious/best_x.pth', 'run/../precious', 'run/config.py', 'run/best_link.pth'],
)
def test_the_best_checkpoint_is_a_file_of_the_run(trained, named):
    run = trained / 'run'
    (run / 'config.py').write_text('mine')
    (run / 'best_link.pth').symlink_to(trained / 'precious')
    edit(run / 'epoch_1.pth', run / 'epoch_1.pth', best_ckpt=str(trained / named))
    scored(run, 4, resume=True).train()
    assert (trained / 'precious' / 'thesis.txt').read_text() == 'years of work'
    assert (trained / 'precious' / 'best_x.pth').exists() and (run / 'config.py').exists()
    assert (run / 'best_link.pth').is_symlink()


@pytest.mark.parametrize('numbers', [[1, 2, 3], ['../precious/best_x', '../../x'], 'abc', {1: 2}])
def test_another_runs_checkpoint_rotates_nothing(trained, numbers):
    run, hostile = trained / 'mine', trained / 'download.pth'
    run.mkdir()
    for number in (1, 2, 3):
        shutil.copy(trained / 'run' / 'epoch_1.pth', run / f'epoch_{number}.pth')
    edit(
        trained / 'run' / 'epoch_1.pth',
        hostile,
        keep_ckpt_ids=numbers,
        best_ckpt=str(run / 'epoch_3.pth'),
    )
    scored(run, 4, resume=True, load_from=str(hostile)).train()
    assert (run / 'epoch_1.pth').exists() and (run / 'epoch_3.pth').exists()
    assert (trained / 'precious' / 'best_x.pth').exists()


def test_a_runs_own_files_rotate_also_after_it_has_moved(trained):
    moved = trained / 'moved'
    (trained / 'run').rename(moved)
    (first,) = moved.glob('best_*.pth')
    scored(moved, 4, resume=True).train()
    assert not first.exists()
    assert [path.name for path in moved.glob('best_*.pth')] == ['best_score_epoch_2.pth']
    assert [path.name for path in moved.glob('epoch_*.pth')] == ['epoch_2.pth']


def test_own_best_by_hand(tmp_path):
    folder = tmp_path / 'run'
    folder.mkdir()
    best = folder / 'best_a.pth'
    best.write_text('')
    assert own_best(str(best), {folder}) == str(best)
    assert own_best('elsewhere/best_a.pth', {folder}) == str(best)  # the folder was moved
    for wrong in (7, None, 'best_\0.pth', str(folder), str(folder / 'a.pth'), 'best_b.pth'):
        assert own_best(wrong, {folder}) is None
    best = 's3://bucket/run/best_a.pth'
    assert own_best(best, {folder}, {'s3://bucket/run'}) == best
    assert own_best(best, {folder}) is None
    assert own_best('s3://bucket/other/best_a.pth', {folder}, {'s3://bucket/run'}) is None


@pytest.mark.parametrize('out', ['s3://bucket', 's3://bucket/', 's3://bucket/run'])
def test_remote_folders_of_a_run(out):
    hook = CheckpointHook(out_dir=out)
    run = SimpleNamespace(work_dir='/home/me/run', hooks=[hook, CheckpointHook()])
    assert own_addresses(run) == {'s3://bucket/run'}


@pytest.mark.parametrize(
    'source', ['http://elsewhere/epoch_1.pth', 's3://bucket/other/epoch_1.pth']
)
def test_a_remote_checkpoint_of_another_run_names_no_files(tmp_path, source):
    (tmp_path / 'best_a.pth').touch()
    info = dict(best_ckpt=str(tmp_path / 'best_a.pth'), keep_ckpt_ids=[1, 2], epoch=1)
    hub = SimpleNamespace(runtime_info=info)
    hooks = [CheckpointHook(out_dir='s3://bucket')]
    run = SimpleNamespace(work_dir=str(tmp_path), hooks=hooks, message_hub=hub)
    keep_own_paths(run, source)
    assert info == dict(epoch=1)
