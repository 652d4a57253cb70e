"""The trial run is the training of the config, ended early, in another folder."""

import pytest

from mmkd_sod.doctor.trial import Trial, build_trial_runner
from tests.conftest import forget_visualizers
from tests.doctor import tiny_config


@pytest.fixture
def runner(scenes, tmp_path):
    forget_visualizers()
    cfg = tiny_config(scenes, run='student')
    cfg.work_dir, cfg.resume = str(tmp_path / 'of_the_run'), True
    cfg.visualizer.vis_backends = [dict(type='LocalVisBackend'), dict(type='WandbVisBackend')]
    built = build_trial_runner(cfg, str(tmp_path / 'trial'))
    assert len(cfg.visualizer.vis_backends) == 2 and cfg.resume  # not changed
    return built


def test_it_writes_to_its_own_folder_and_sends_nothing(runner, tmp_path):
    assert runner.work_dir == str(tmp_path / 'trial') and not runner._resume
    assert [one.type for one in runner.cfg.visualizer.vis_backends] == ['LocalVisBackend']
    assert not (tmp_path / 'of_the_run').exists()


def test_it_times_steps_and_ends_before_the_epoch(runner):
    batches = []
    trial = Trial(runner, 1, 'cpu', lambda batch: batches.append(batch) or True)
    trial.run()
    assert len(batches) == 1 and 'inputs' in batches[0]
    assert len(trial.worked) == len(trial.waited) == 1 and trial.worked[0] > 0
    assert trial.logged['loss'] > 0
    assert runner.iter < runner.max_iters


def test_it_ends_at_the_first_batch_where_that_is_refused(runner):
    trial = Trial(runner, 3, 'cpu', lambda batch: False)
    trial.run()
    assert trial.worked == [] and runner.iter == 0
