"""Gains: what is run, what is kept, what is refused, and the numbers that come out."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from mmengine.config import Config

from mmkd_sod.errors import ConfigError, DataError
from tests.conftest import ROOT
from tests.runs import TINY_DISTILL, TINY_STUDENT, on
from tests.work_dirs import work_dir

KEY = 'coco/bbox_mAP'
# Score by seed and role.
SCORES = {0: dict(teacher=0.5, student=0.4, kd=0.44), 1: dict(teacher=0.5, student=0.42, kd=0.45)}


@pytest.fixture
def gain(bench, results, monkeypatch, tmp_path):
    """gain.py on one set whose configs train nothing, work folders in the test's folder."""
    module, sets = bench('gain'), bench('gain_sets')
    for name, model in (
        ('teacher', dict(type='Net', width=4)),
        ('student', dict(type='Net')),
        (
            'kd',
            dict(type='mmkd_sod.DenseDistill', distiller=dict(schedule=dict(stage_ends=(1, 3)))),
        ),
    ):
        Config(
            dict(
                model=model,
                randomness=dict(seed=0),
                optim_wrapper=dict(optimizer=dict(lr=0.1)),
                train_cfg=dict(max_epochs=4, val_interval=2),
                train_dataloader=dict(batch_size=2),
                default_hooks=dict(checkpoint=dict(type='CheckpointHook')),
                param_scheduler=[dict(type='CosineAnnealingLR', T_max=4)],
            )
        ).dump(tmp_path / f'{name}.py')
    one = sets.GainSet(
        str(tmp_path / 'teacher.py'),
        str(tmp_path / 'student.py'),
        dict(kd=str(tmp_path / 'kd.py')),
        4,
        (2, 4),
        (KEY,),
        data=str(tmp_path),
        pace=dict(teacher=1, student=1, kd=1),
    )
    for place in (module, sets):
        monkeypatch.setattr(place, 'SETS', dict(made_up=one))
    monkeypatch.setattr(module, 'WORK_DIRS', tmp_path / 'gain')
    monkeypatch.setattr(module, '_POLL', 0.01)
    return module


@pytest.fixture
def pretend(bench, gain, monkeypatch):
    """Trainings and tests leave their files at once; the list tells in which order."""
    runs, done = bench('gain_runs'), []

    def command(run):
        trained = run.trained()
        done.append(f'{"test" if trained else "train"} {run.seed} {run.role} {run.epochs}')
        if trained:
            value = SCORES[run.seed][run.role] + 0.01 * run.epochs
            work_dir(
                run.test_folder,
                dict(type='Net'),
                train=(),
                test={KEY: value},
                load_from=str(run.checkpoint),
            )
        else:
            leave(run)
        return ['true']

    monkeypatch.setattr(runs.GainRun, 'command', command)
    return done


def leave(run, **changes):
    """What a finished training leaves."""
    cfg = Config.fromfile(run.config)
    cfg.merge_from_dict({**run.options(), **changes})
    place = run.folder / '20260101_000000' / 'vis_data'
    place.mkdir(parents=True)
    cfg.dump(place / 'config.py')
    torch.save({}, run.checkpoint)


def all_runs(bench, gain, seeds=(0,)):
    one = gain.SETS['made_up']
    return bench('gain_runs').runs_of('made_up', one, seeds, gain.WORK_DIRS)


def test_all_is_run_in_order_and_summed_up(gain, pretend, results, capsys):
    assert gain.main(['--seeds', '0', '1']) == 0
    one_seed = [
        'train 0 teacher 4',
        'test 0 teacher 4',
        'train 0 student 2',
        'test 0 student 2',
        'train 0 kd 2',
        'test 0 kd 2',
        'train 0 student 4',
        'test 0 student 4',
        'train 0 kd 4',
        'test 0 kd 4',
    ]
    assert pretend == one_seed + [step.replace(' 0 ', ' 1 ') for step in one_seed]
    part = json.loads((results / 'gain_cpu.json').read_text())['sets']['made_up']
    assert part['scores']['kd']['2'] == {'0': {KEY: 0.46}, '1': {KEY: 0.47}}
    found = part['gains']['kd']['4'][KEY]
    assert found['plain'] == [0.45, round(0.02 / 2**0.5, 6)]
    assert found['gain'] == [0.035, round(0.01 / 2**0.5, 6)]
    assert found['seeds'] == 2 and found['exceeds'] is True
    assert 'made_up seed 1 kd, 4 epochs: coco/bbox_mAP 0.4900' in capsys.readouterr().out


def test_what_is_written_is_not_run_again(gain, pretend):
    gain.main(['--seeds', '0'])
    pretend.clear()
    assert gain.main(['--seeds', '0']) == 0 and pretend == []
    gain.main(['--seeds', '0', '1'])
    assert pretend and all(' 1 ' in step for step in pretend)


def test_work_folders_give_their_scores_back(gain, pretend, results):
    gain.main(['--seeds', '0'])
    written = json.loads((results / 'gain_cpu.json').read_text())['sets']
    (results / 'gain_cpu.json').unlink()
    pretend.clear()
    assert gain.main(['--seeds', '0']) == 0 and pretend == []
    assert json.loads((results / 'gain_cpu.json').read_text())['sets'] == written


def test_a_linked_folder_of_an_earlier_run_counts(bench, gain, pretend, tmp_path):
    student = next(run for run in all_runs(bench, gain) if run.role == 'student')
    leave(student)
    student.folder.rename(tmp_path / 'earlier')
    student.folder.symlink_to(tmp_path / 'earlier')
    assert gain.main(['--seeds', '0']) == 0
    assert 'train 0 student 2' not in pretend and 'test 0 student 2' in pretend


@pytest.mark.parametrize(
    'changes, told',
    [
        ({'randomness.seed': 5}, 'seed 5, wanted 0'),
        ({'train_cfg.max_epochs': 3}, 'epochs 3, wanted 2'),
        ({'optim_wrapper.optimizer.lr': 0.2}, 'another optim_wrapper'),
        ({'model.distiller.schedule.stage_ends': [1, 3]}, 'another model'),
        ({'model.teacher_ckpt': 'another.pth'}, "teacher 'another.pth'"),
    ],
)
def test_a_folder_made_otherwise_is_refused_and_kept(bench, gain, pretend, changes, told):
    distilled = next(run for run in all_runs(bench, gain) if run.role == 'kd')
    leave(distilled.teacher)
    leave(distilled, **changes)
    with pytest.raises(DataError, match='was made with') as error:
        gain.main(['--seeds', '0'])
    assert told in str(error.value) and distilled.checkpoint.is_file() and pretend == []


def test_a_lost_teacher_is_trained_again_only_for_students_who_need_it(bench, gain, pretend):
    gain.main(['--seeds', '0'])
    teacher = all_runs(bench, gain)[0]
    teacher.checkpoint.unlink()
    pretend.clear()
    assert gain.main(['--seeds', '0']) == 0 and pretend == []


def test_time_left_is_that_of_the_epochs_left(bench, gain):
    run = all_runs(bench, gain)[0]
    whole = run.minutes()
    run.folder.mkdir(parents=True)
    torch.save({}, run.folder / 'epoch_3.pth')
    assert run.epochs == 4 and whole - run.minutes() == pytest.approx(3 * run.one.pace['teacher'])
    torch.save({}, run.checkpoint)
    assert 0 < run.minutes() < 1  # the test is left


def test_a_failure_is_told_and_the_rest_goes_on(bench, gain, pretend, monkeypatch, capsys):
    runs = bench('gain_runs')
    good = runs.GainRun.command
    monkeypatch.setattr(
        runs.GainRun,
        'command',
        lambda run: ['false'] if run.role == 'student' and run.epochs == 2 else good(run),
    )
    assert gain.main(['--seeds', '0', '--jobs', '2']) == 1
    assert 'made_up seed 0 student, 2 epochs: failed; see' in capsys.readouterr().err
    assert 'test 0 kd 4' in pretend


def test_a_test_without_scores_is_a_failure(bench, gain, pretend, monkeypatch):
    runs = bench('gain_runs')
    good = runs.GainRun.command
    monkeypatch.setattr(
        runs.GainRun, 'command', lambda run: ['true'] if run.trained() else good(run)
    )
    assert gain.main(['--seeds', '0']) == 1


def test_stopping_ends_the_processes(bench, gain, pretend, monkeypatch):
    runs, started = bench('gain_runs'), []
    monkeypatch.setattr(runs.GainRun, 'command', lambda run: ['sleep', '60'])
    popen = subprocess.Popen
    monkeypatch.setattr(
        gain.subprocess,
        'Popen',
        lambda *args, **more: started.append(popen(*args, **more)) or started[-1],
    )

    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(gain.time, 'sleep', interrupt)
    assert gain.main(['--seeds', '0', '--jobs', '2']) == 130
    assert len(started) == 2 and all(process.poll() is not None for process in started)


def test_jobs_must_be_positive(gain):
    with pytest.raises(ConfigError, match='--jobs 0'):
        gain.main(['--jobs', '0'])


@pytest.mark.parametrize(
    'changes, told',
    [
        (dict(data='data/that is not there'), 'does not exist; the set is skipped'),
        (dict(prepare=('-c', 'raise SystemExit(1)')), 'failed; the set is skipped'),
    ],
)
def test_a_set_without_data_is_left_out(gain, pretend, monkeypatch, capsys, changes, told):
    one = gain.SETS['made_up']
    monkeypatch.setitem(gain.SETS, 'made_up', type(one)(**{**vars(one), **changes}))
    assert gain.main(['--seeds', '0']) == 0 and pretend == []
    assert told in capsys.readouterr().err


def test_less_is_better_makes_a_positive_gain(gain):
    found = gain.summary(
        'sod/MAE',
        {'0': {'sod/MAE': 0.1}, '1': {'sod/MAE': 0.2}},
        {'0': {'sod/MAE': 0.08}, '1': {'sod/MAE': 0.21}},
    )
    assert found['gain'][0] == 0.005 and found['exceeds'] is False
    assert (
        gain.summary('sod/MAE', {'0': {'sod/MAE': 0.1}}, {'0': {'sod/MAE': 0.08}})['exceeds']
        is None
    )
    assert gain.summary('sod/MAE', {'0': {'sod/MAE': 0.1}}, {'1': {'sod/MAE': 0.08}}) is None


def test_the_real_sets_scale_with_their_length(bench, monkeypatch):
    sets = bench('gain_sets')
    for one in sets.SETS.values():
        for config in (one.teacher, *one.students().values()):
            cfg = Config.fromfile(config)
            options = sets.length_options(cfg, 2 * cfg.train_cfg.max_epochs, 0.2)
            cfg.merge_from_dict(options)
            assert (
                cfg.train_cfg.max_epochs
                in [
                    scheduler.get('T_max', scheduler.get('end'))
                    for scheduler in cfg.param_scheduler
                ]
                or 'human_seg' in config
            )
    cfg = Config.fromfile(sets.SETS['human_seg'].distilled['pnlad_weak_label'])
    options = sets.length_options(cfg, 20, 0.2)
    assert options['default_hooks.checkpoint.interval'] == 5
    assert options['train_cfg.val_begin'] > options['train_cfg.max_epochs'] == 20
    assert options['model.distiller.distillers.1.schedule.stage_ends'] == [6, 12]
    assert options['model.distiller.distillers.1.schedule.tau_step'] == 15


@pytest.mark.slow
def test_a_stopped_training_goes_on_to_the_same_scores(scenes, tmp_path):
    """Two real trainings of the same settings, one of them stopped halfway."""
    configs = tmp_path / 'configs'
    configs.mkdir()
    for role, tiny in (
        ('teacher', TINY_STUDENT),
        ('student', TINY_STUDENT),
        ('crosskd', TINY_DISTILL),
    ):
        cfg = Config.fromfile(ROOT / f'configs/demo/scenes_gfl_{role}.py')
        options = dict(item.split('=', 1) for item in (*tiny, *on(scenes, epochs=4)))
        cfg.merge_from_dict({key: _value(text) for key, text in options.items()})
        cfg.dump(configs / f'{role}.py')
    script = tmp_path / 'tiny_gain.py'
    script.write_text(f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(ROOT / 'benchmarks')!r})
import common, gain, gain_sets
folder = Path(sys.argv.pop(1))
common.RESULTS = gain.RESULTS = folder / 'results'
gain.WORK_DIRS = folder / 'gain'
gain.SETS.clear()
path = {str(configs)!r} + '/{{}}.py'
gain.SETS['scenes'] = gain_sets.GainSet(
    path.format('teacher'), path.format('student'), dict(crosskd=path.format('crosskd')),
    4, (4, ), ({KEY!r}, ), data={str(scenes)!r}, pace=dict(teacher=1, student=1, crosskd=1))
gain.run_tool(gain.main)
""")

    def start(folder):
        return subprocess.Popen(
            [
                sys.executable,
                '-W',
                'ignore',
                str(script),
                str(folder),
                '--seeds',
                '0',
                '--jobs',
                '2',
            ],
            cwd=ROOT,
            env=dict(os.environ, OMP_NUM_THREADS='1'),
        )

    assert start(tmp_path / 'whole').wait(timeout=300) == 0
    stopped = start(tmp_path / 'stopped')
    for _ in range(600):
        time.sleep(0.1)
        if any((tmp_path / 'stopped').glob('gain/scenes/seed0/teacher_4e/epoch_[12].pth')):
            break
    stopped.send_signal(signal.SIGTERM)
    assert stopped.wait(timeout=60) == 130
    assert not any((tmp_path / 'stopped').glob('gain/scenes/seed0/crosskd_4e/epoch_4.pth'))
    assert start(tmp_path / 'stopped').wait(timeout=300) == 0
    found = [
        json.loads((tmp_path / name / 'results' / 'gain_cpu.json').read_text())['sets']
        for name in ('whole', 'stopped')
    ]
    assert found[0]['scenes']['scores'] == found[1]['scenes']['scores']
    assert set(found[0]['scenes']['scores']) == {'teacher', 'student', 'crosskd'}


def _value(text):
    try:
        return json.loads(text)
    except ValueError:
        return text
