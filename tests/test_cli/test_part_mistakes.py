"""Parts of a config that do not fit each other, and names that are nearly right."""

import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmengine.optim import build_optim_wrapper
from mmengine.registry import HOOKS, OPTIM_WRAPPERS
from mmengine.registry import MODELS as ROOT_MODELS
from torch import nn

from mmkd_sod.cli.errors import explained
from mmkd_sod.cli.part_mistakes import near_names
from mmkd_sod.errors import ConfigError
from mmkd_sod.registry import MODELS


def told(run, kind) -> str:
    with pytest.raises(kind) as caught:
        run()
    mistake = explained(caught.value)
    assert type(mistake) is ConfigError
    return str(mistake)


@pytest.mark.parametrize('kind', ['SDG', 'AdamWW'])
def test_a_misspelt_optimizer_is_named_with_the_nearest(kind):
    cfg = dict(type='OptimWrapper', optimizer=dict(type=kind, lr=0.1))
    text = told(lambda: build_optim_wrapper(nn.Linear(1, 1), cfg), TypeError)
    assert f"optim_wrapper.optimizer: type '{kind}' is not registered" in text
    assert dict(SDG='perhaps SGD', AdamWW='perhaps AdamW')[kind] in text


def test_a_misspelt_wrapper_is_named_with_the_nearest():
    text = told(lambda: OPTIM_WRAPPERS.build(dict(type='OptimWraper')), KeyError)
    assert "type 'OptimWraper' is not registered (perhaps OptimWrapper" in text


def test_names_of_other_scopes_have_their_scope():
    assert near_names('CrossKDDistillr', MODELS)[0] == 'CrossKDDistiller'
    assert near_names('mmkd_sod.CrossKDDistillr', ROOT_MODELS)[0] == 'mmkd_sod.CrossKDDistiller'
    assert near_names('PanelHok', HOOKS)[0] == 'mmkd_sod.PanelHook'
    assert near_names('SomethingElseEntirely', HOOKS) == []


class Wants(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results += [sample['pred_sem_seg'] for sample in data_samples]

    def compute_metrics(self, results):
        return {}


def test_a_metric_of_another_task():
    text = told(lambda: Wants().process({}, [dict(pred_instances=torch.ones(1))]), KeyError)
    assert "Wants needs 'pred_sem_seg' of each prediction" in text
