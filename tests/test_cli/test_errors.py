"""Errors of the libraries below, told as mistakes."""
import pytest
from mmengine.config import Config
from torch import nn

from mmkd_sod.cli.errors import mistakes_told
from mmkd_sod.errors import ConfigError, DataError, TrainingError
from mmkd_sod.registry import MODELS
from tests.methods import Samples, build, loader, runner


def told(run, wanted, runner=None) -> str:
    with pytest.raises(wanted) as caught, mistakes_told(Config(), runner):
        run()
    assert caught.value.__cause__ is not None
    return str(caught.value)


def test_building_names_the_class_and_the_setting():
    distiller = dict(type='mmkd_sod.CrossKDDistiller', reused_teacher_head_idx=1,
                     loss_cls_kd=7, loss_reg_kd=dict(type='mmkd_sod.KDKLDivLoss'))
    sentence = told(lambda: build('crosskd', distiller=distiller), ConfigError)
    assert '(DenseDistill.distiller > CrossKDDistiller.loss_cls_kd): TypeError' in sentence


def test_an_unknown_type_is_named():
    assert 'NoSuchLoss' in told(lambda: MODELS.build(dict(type='NoSuchLoss')), ConfigError)


def test_the_first_step_names_the_part_of_the_model(tmp_path):
    model = build('crosskd')
    model.student.neck.lateral_convs[0].conv = nn.Conv2d(5, 16, 1)
    run = runner('crosskd', tmp_path, steps=2, model=model)
    sentence = told(run.train, ConfigError, run)
    assert 'the first step fails in architecture.neck.lateral_convs.0.conv: ' in sentence
    model = build('crosskd', teacher_fold_bn=False)
    model.teacher.neck.lateral_convs[0].conv = nn.Conv2d(5, 16, 1)
    run = runner('crosskd', tmp_path, steps=2, model=model)
    assert 'in teacher.neck.lateral_convs.0.conv: ' in told(run.train, ConfigError, run)


def test_later_steps_are_left_alone(tmp_path):
    class Fails(Samples):
        looks = 0

        def __getitem__(self, index):
            Fails.looks += 1
            return 1 / (Fails.looks < 6) and super().__getitem__(index)

    options = dict(loader('crosskd'), dataset=Fails('boxes'))
    run = runner('crosskd', tmp_path, steps=4, train_dataloader=options)
    with pytest.raises(ZeroDivisionError), mistakes_told(Config(), run):
        run.train()


def test_samples_that_cannot_be_read_name_their_file(tmp_path):
    class Unreadable(Samples):
        def prepare_data(self, index):
            results = dict(img_path=f'images/{index}.jpg')
            raise AssertionError(f'failed to load {len(results)}')

        def __getitem__(self, index):
            return self.prepare_data(index)

    options = dict(loader('crosskd'), dataset=Unreadable('boxes'))
    run = runner('crosskd', tmp_path, steps=2, train_dataloader=options)
    assert 'the data cannot be read (images/' in told(run.train, DataError, run)
    options['num_workers'] = 1
    run = runner('crosskd', tmp_path, steps=2, train_dataloader=options)
    sentence = told(run.train, DataError, run)
    assert 'AssertionError: failed to load 1' in sentence and '\n' not in sentence


def test_files(tmp_path):
    def write():
        raise OSError(28, 'No space left on device', 'a.pth')

    assert "No space left on device: 'a.pth'" in told(write, TrainingError)


def test_the_traceback_is_there_for_who_asks(monkeypatch):
    monkeypatch.setenv('MMKD_TRACEBACK', '1')
    with pytest.raises(KeyError), mistakes_told(Config()):
        MODELS.build(dict(type='NoSuchLoss'))
