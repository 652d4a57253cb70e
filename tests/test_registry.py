"""Registries: scope, locations, and that errors are what tools tell in one sentence."""

import importlib

import pytest

from mmkd_sod import errors, registry
from mmkd_sod.version import __version__

REGISTRIES = [
    registry.MODELS,
    registry.DATASETS,
    registry.TRANSFORMS,
    registry.DATA_SAMPLERS,
    registry.METRICS,
    registry.HOOKS,
    registry.VISUALIZERS,
]


@pytest.mark.parametrize('child', REGISTRIES, ids=lambda child: child.name)
def test_children_of_mmengine_with_our_scope(child):
    assert child.scope == 'mmkd_sod'
    assert child.parent.scope == 'mmengine'
    assert child.parent._children['mmkd_sod'] is child


@pytest.mark.parametrize(
    'location',
    sorted({place for child in [*REGISTRIES, registry.HEAD_READERS] for place in child._locations}),
)
def test_locations_import(location):
    assert importlib.import_module(location).__doc__


def test_promised_types_are_registered():
    for name in (
        'DenseDistill',
        'CrossKDDistiller',
        'CompositeDistiller',
        'KDQualityFocalLoss',
        'KDKLDivLoss',
    ):
        assert registry.MODELS.get(name).__name__ == name


def test_every_error_is_a_users_mistake():
    for error in (errors.ConfigError, errors.DataError, errors.CheckpointError):
        assert issubclass(error, errors.UserError) and issubclass(error, ValueError)


def test_version():
    assert all(part.isdigit() for part in __version__.split('.'))
