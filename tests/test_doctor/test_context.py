"""The state that sections share, and messages of errors."""

from mmengine.config import Config
from torch import nn
from torch.utils.data import ConcatDataset

from mmkd_sod.doctor.context import Context, describe_error, metainfo
from mmkd_sod.errors import ConfigError


def caught(function) -> str:
    try:
        function()
    except Exception as error:
        return describe_error(error)
    return ''


def test_user_errors_keep_their_message():
    def fail():
        raise ConfigError('what came,\n    what was wanted')

    assert caught(fail) == 'what came, what was wanted'


def test_other_errors_name_their_position():
    found = caught(lambda: 1 / 0)
    assert found.startswith('ZeroDivisionError: division by zero (test_context.py, line ')

    def wordy():
        raise ValueError('x' * 1000)

    assert len(caught(wordy)) < 400


def test_roles_of_plain_and_distilled_models():
    plain = nn.Linear(1, 1)
    context = Context(Config(dict()), model=plain)
    assert context.student is plain and context.teachers == {} and not context.distils
    # An algorithm of mmrazor has one teacher and no checkpoint of it.
    distilled = nn.Module()
    distilled.student, distilled.distiller, distilled.teacher = plain, nn.Identity(), plain
    context = Context(Config(dict()), model=distilled)
    assert context.distils and context.student is plain
    assert list(context.teachers) == ['teacher'] and context.frozen_teachers == {}


def test_data_sets_without_metadata():
    assert metainfo(ConcatDataset([[1], [2]])) == {}


def test_errors_are_explained():
    context = Context(Config(dict()), explain=lambda error: ConfigError(f'explained {error}'))
    assert context.describe(ValueError('x')) == 'explained x'
