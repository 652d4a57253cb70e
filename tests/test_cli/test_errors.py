"""Errors of the libraries below: mistakes that are certain, and hints under the others."""

import sys
import traceback

import pytest
from mmengine.hooks import Hook
from torch import nn

from mmkd_sod.cli.errors import explained
from mmkd_sod.errors import ConfigError
from mmkd_sod.registry import MODELS
from tests.methods import build, loader, runner
from tests.shown import end_of

KD = dict(
    type='mmkd_sod.CrossKDDistiller',
    reused_teacher_head_idx=1,
    loss_cls_kd=dict(type='mmkd_sod.KDQualityFocalLoss'),
    loss_reg_kd=dict(type='mmkd_sod.KDKLDivLoss'),
)


def raised(run, kind):
    """What is made of an error, and that it is the same error unless a mistake is certain."""
    with pytest.raises(kind) as caught:
        run()
    told = explained(caught.value)
    assert told is caught.value or told.__cause__ is caught.value
    return told


def distiller(**changes):
    return lambda: build('crosskd', distiller={**KD, **changes})


def test_an_unknown_type_is_a_mistake():
    error = raised(distiller(loss_cls_kd=dict(type='NoSuchLoss')), KeyError)
    assert type(error) is ConfigError
    assert "CrossKDDistiller.loss_cls_kd > NoSuchLoss: type 'NoSuchLoss' is not registered" in (
        str(error)
    )


def test_a_misspelt_setting_is_a_mistake():
    error = raised(
        distiller(loss_cls_kd=dict(type='mmkd_sod.KDQualityFocalLoss', bta=1.0)), TypeError
    )
    assert type(error) is ConfigError
    assert 'KDQualityFocalLoss does not take bta; it takes beta, loss_weight' in str(error)
    error = raised(lambda: MODELS.build(dict(type='mmkd_sod.CompositeDistiller')), TypeError)
    assert 'CompositeDistiller needs distillers' in str(error)


def test_a_fault_inside_of_a_constructor_is_no_mistake():
    class Broken:
        def __init__(self):
            self.build(1)

        def build(self):
            """Takes less than the constructor gives it."""

    error = raised(lambda: MODELS.build(dict(type=Broken)), TypeError)
    assert type(error) is TypeError
    assert end_of(error).rstrip().endswith('Hint: while building Broken')


def test_a_hint_names_the_setting_that_was_being_built():
    error = raised(distiller(loss_cls_kd=7), TypeError)
    assert type(error) is TypeError
    assert (
        end_of(error)
        .rstrip()
        .endswith(
            'Hint: while building mmkd_sod.DenseDistill.distiller > '
            'mmkd_sod.CrossKDDistiller.loss_cls_kd'
        )
    )


def test_a_hint_names_the_module_of_the_model(tmp_path):
    model = build('crosskd')
    model.student.neck.lateral_convs[0].conv = nn.Conv2d(5, 16, 1)
    error = raised(runner('crosskd', tmp_path, steps=2, model=model).train, RuntimeError)
    assert 'Hint: raised in DenseDistill.architecture.neck.lateral_convs.0.conv' in end_of(error)
    model = build('crosskd', teacher_exact=True)
    model.teacher.neck.lateral_convs[0].conv = nn.Conv2d(5, 16, 1)
    error = raised(runner('crosskd', tmp_path, steps=2, model=model).train, RuntimeError)
    assert 'Hint: raised in DenseDistill > GFL.neck.lateral_convs.0.conv' in end_of(error)


class FailingHook(Hook):
    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        len(batch_idx)


def test_a_hint_names_the_hook_and_its_traceback_is_not_hidden(tmp_path):
    run = runner('crosskd', tmp_path, steps=2, hooks=[FailingHook()])
    error = raised(run.train, TypeError)
    assert 'Hint: raised by the hook FailingHook.after_train_iter' in end_of(error)
    assert 'len(batch_idx)' in ''.join(traceback.format_exception(error))


def test_a_handled_error_explains_nothing():
    def run():
        try:
            MODELS.build(dict(type='NoSuchLoss'))
        except KeyError:
            raise RuntimeError('of something else')  # noqa: B904

    error = raised(run, RuntimeError)
    assert type(error) is RuntimeError and 'building' not in end_of(error)


def test_errors_of_data_loading_pass(tmp_path):
    class Fails:
        def __len__(self):
            return 8

        def __getitem__(self, index):
            return 1 / 0

    run = runner(
        'crosskd', tmp_path, steps=4, train_dataloader=dict(loader('crosskd'), dataset=Fails())
    )
    error = raised(run.train, ZeroDivisionError)
    assert type(error) is ZeroDivisionError


@pytest.mark.skipif(sys.version_info < (3, 11), reason='has no notes')
def test_nothing_is_added_where_nothing_is_known():
    error = raised(lambda: 1 / 0, ZeroDivisionError)
    assert not hasattr(error, '__notes__')


def test_explaining_an_error_never_hides_it(monkeypatch):
    def fail(frames):
        raise ValueError('of the hint')

    monkeypatch.setattr('mmkd_sod.cli.errors._module', fail)
    error = raised(lambda: 1 / 0, ZeroDivisionError)
    assert type(error) is ZeroDivisionError
    assert "Hint: none, since looking for one raised ValueError('of the hint')" in end_of(error)
