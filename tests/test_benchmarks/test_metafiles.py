"""The model index holds the measured scores, and says of other models that there are none."""

import json
from pathlib import Path
from statistics import mean

import pytest
import yaml

from tests.conftest import ROOT

from .conftest import FOLDER

METAFILES = sorted((ROOT / 'configs').glob('*/metafile.yml'))
MODELS = {
    model['Config']: model
    for path in METAFILES
    for model in yaml.safe_load(path.read_text())['Models']
}
SETS = json.loads((FOLDER / 'results' / 'gain_cpu.json').read_text())['sets']
# Score in the results: name in the model index, factor, half a unit of the last digit.
METRICS = {
    'coco/bbox_mAP': ('box AP', 100, 0.05),
    'coco/bbox_mAP_50': ('box AP50', 100, 0.05),
    'mIoU': ('mIoU', 1, 0.005),
    'mAcc': ('mAcc', 1, 0.005),
    'sod/MAE': ('MAE', 1, 0.00005),
    'sod/Smeasure': ('S', 1, 0.00005),
    'sod/maxFm': ('max F', 1, 0.00005),
    'sod/maxEm': ('max E', 1, 0.00005),
}


def trained():
    """Config and scores, ``{epochs: {seed: {metric: value}}}``, of all that was measured."""
    found = {}
    for part in SETS.values():
        settings = part['settings']
        configs = dict(
            settings['distilled'], teacher=settings['teacher'], student=settings['student']
        )
        found.update({configs[role]: scores for role, scores in part['scores'].items()})
    return found


@pytest.mark.parametrize('config', trained())
def test_measured_scores_are_in_the_index(config):
    scores, model = trained()[config], MODELS[config]
    assert model['Metadata']['Trained'] == 'benchmarks/results/gain_cpu.json'
    results = {str(result['Epochs']): result for result in model['Results']}
    assert results.keys() == scores.keys()
    assert [*results] == sorted(results, key=int)
    for epochs, by_seed in scores.items():
        assert results[epochs]['Seeds'] == len(by_seed)
        told = results[epochs]['Metrics']
        keys = next(iter(by_seed.values())).keys()
        assert told.keys() == {METRICS[key][0] for key in keys}
        for key in keys:
            name, factor, half = METRICS[key]
            value = factor * mean(values[key] for values in by_seed.values())
            assert told[name] == pytest.approx(value, rel=0, abs=half * 1.001)


def test_other_models_have_no_scores_and_say_so():
    page = (ROOT / 'docs' / 'results.md').read_text()
    for config in MODELS.keys() - trained().keys():
        model = MODELS[config]
        assert all(result['Metrics'] == {} for result in model['Results']), config
        assert model['Metadata']['Trained'] in ('not here', 'docs/results.md'), config
        if model['Metadata']['Trained'] != 'not here':
            assert Path(config).stem.split('_')[0] in page, config


@pytest.mark.parametrize('path', METAFILES, ids=lambda path: path.parent.name)
def test_metafiles_are_as_they_are_written(path, bench):
    metafiles = bench('metafiles')
    meta = yaml.safe_load(path.read_text())
    assert path.read_text() == metafiles.text(metafiles.with_results(meta, metafiles.measured()))


def test_results_that_are_gone_leave_the_index(bench, results):
    metafiles = bench('metafiles')
    assert metafiles.measured() == {}
    entry = dict(Task='a', Dataset='b', Epochs=3, Seeds=1, Metrics=dict(S=0.5))
    meta = dict(
        Models=[
            dict(Config='x.py', Metadata=dict(Trained=metafiles.SOURCE), Results=[entry, entry]),
            dict(Config='y.py', Metadata=dict(Trained=metafiles.PAGE), Results=[entry]),
        ]
    )
    found = metafiles.with_results(meta, {})['Models']
    assert [model['Metadata']['Trained'] for model in found] == ['not here', metafiles.PAGE]
    assert all(model['Results'] == [dict(Task='a', Dataset='b', Metrics={})] for model in found)
