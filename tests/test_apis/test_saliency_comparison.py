"""compare returns the numbers of a test run and its maps."""

import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmkd_sod.apis.saliency_comparison import compare
from mmkd_sod.datasets import SODDataset
from mmkd_sod.evaluation import SODMetric
from mmkd_sod.models.saliency_inferencer import SaliencyInferencer
from tests.conftest import ROOT
from tests.saliency import save_network
from tests.sod_data import write_set


def test_equals_the_metric_of_a_test_run(tmp_path):
    config = Config.fromfile(ROOT / 'configs/_base_/datasets/sod_sets.py')
    dataset = SODDataset(data_root=str(write_set(tmp_path / 's')), pipeline=config.test_pipeline)
    networks = {
        name: SaliencyInferencer(*save_network(tmp_path, name, seed), fast=False)
        for seed, name in enumerate('ab')
    }
    samples = [dataset.get_data_info(i) for i in range(3)]
    scores, pictures = compare(networks, samples, shown=[2])
    for name, network in networks.items():
        metric = SODMetric()
        for i in range(3):
            data = dataset[i]
            with torch.no_grad():
                results = network.model.test_step(
                    dict(inputs=[data['inputs']], data_samples=[data['data_samples']])
                )
            metric.process({}, [results[0].to_dict()])
        expected = metric.evaluate(3)
        for key, value in scores[name].items():
            assert value == pytest.approx(expected[f'sod/{key}'], abs=1e-4), key
    assert list(pictures) == ['image', 'truth', 'a', 'b']
    assert all(len(column) == 1 and column[0].shape[:2] == (64, 33) for column in pictures.values())
    assert set(np.unique(pictures['truth'][0])) == {0, 1}
