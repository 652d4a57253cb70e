"""CompositeDistiller adds up."""
import copy

import pytest
import torch

from mmkd_sod.errors import ConfigError
from tests.detection import build_distill, crosskd_cfg, losses_of
from tests.test_models.test_algorithms.test_dense_distill import PKD


def composite(*distillers):
    return dict(type='mmkd_sod.CompositeDistiller', distillers=copy.deepcopy(list(distillers)))


def test_losses_equal_those_of_each_alone():
    found = {}
    for cfg in (crosskd_cfg(), PKD, composite(crosskd_cfg(), PKD)):
        torch.manual_seed(2)
        losses = losses_of(build_distill(distiller=copy.deepcopy(cfg)))
        found[cfg['type']] = {k: v for k, v in losses.items() if k.startswith('distill')}
    both = found.pop('mmkd_sod.CompositeDistiller')
    alone = {k: v for losses in found.values() for k, v in losses.items()}
    assert both.keys() == alone.keys()
    assert all(torch.allclose(both[k], alone[k], rtol=1e-6) for k in both)


def test_names_must_differ():
    with pytest.raises(ConfigError, match="'loss_cls_kd'"):
        losses_of(build_distill(distiller=composite(crosskd_cfg(), crosskd_cfg(idx=3))))


def test_none_is_refused():
    with pytest.raises(ConfigError, match='at least one'):
        build_distill(distiller=composite())
