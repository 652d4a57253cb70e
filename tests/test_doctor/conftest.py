"""Fixtures: one report on the tiny demo, and the default scope."""

import os

import pytest
from mmengine.registry import DefaultScope, init_default_scope

from tests.conftest import ROOT, forget_visualizers
from tests.doctor import examine


@pytest.fixture(autouse=True)
def _scope(monkeypatch):
    monkeypatch.chdir(ROOT)
    init_default_scope('mmdet')
    yield
    DefaultScope._instance_dict.clear()


@pytest.fixture(scope='session')
def report(scenes):
    """Return the report on the tiny demo with a random teacher."""
    folder = os.getcwd()
    os.chdir(ROOT)
    try:
        return examine(scenes)
    finally:
        os.chdir(folder)
        forget_visualizers()


@pytest.fixture
def section(report):
    """Return a section of that report by its name."""
    return lambda name: next(found for found in report.sections if found.name == name)
