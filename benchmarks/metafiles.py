"""Write the scores of benchmarks/results into the model index; ``make_readme.py`` calls it."""

from pathlib import Path

import yaml
from common import RESULTS, load

from mmkd_sod.report.metrics import describe, mean
from mmkd_sod.utils.files import atomic_path

NAME = 'gain_cpu'
CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
SOURCE = f'benchmarks/results/{NAME}.json'
# What `Trained` says of other models; a page is named by hand.
NOT_HERE, PAGE = 'not here', 'docs/results.md'


class _Indented(yaml.SafeDumper):
    """Indents lists, as OpenMMLab's metafiles do."""

    def increase_indent(self, flow=False, indentless=False):
        return super().increase_indent(flow, False)


def metric_name(key: str) -> str:
    """A score's name in a model index: mmdet's for boxes, the report's for others."""
    return ('box ' if key.startswith('coco/bbox') else '') + describe(key).name


def results(scores: dict, metrics: list[str]) -> list[dict]:
    """One entry per length of training.

    Args:
        scores (dict): ``{epochs: {seed: {metric: value}}}``.
        metrics (list[str]): Names of the scores.

    Returns:
        list[dict]: ``Epochs``, ``Seeds`` and ``Metrics``, means over the seeds in the units and
        digits of the report; the shortest training first.
    """
    found = []
    for epochs, by_seed in sorted(scores.items(), key=lambda item: int(item[0])):
        means = {}
        for key in metrics:
            shown = describe(key)
            value = mean([values[key] for values in by_seed.values()])
            means[metric_name(key)] = round(value * shown.scale, shown.digits)
        found.append(dict(Epochs=int(epochs), Seeds=len(by_seed), Metrics=means))
    return found


def measured() -> dict[str, list[dict]]:
    """Results by config."""
    if not (RESULTS / f'{NAME}.json').is_file():
        return {}
    found = {}
    for part in load(NAME)['sets'].values():
        settings = part['settings']
        configs = dict(
            teacher=settings['teacher'], student=settings['student'], **settings['distilled']
        )
        for role, scores in part['scores'].items():
            found[configs[role]] = results(scores, settings['metrics'])
    return found


def with_results(meta: dict, found: dict[str, list[dict]]) -> dict:
    """A metafile's content with the results of its models, or the note that there are none."""
    for model in meta['Models']:
        data = model['Metadata']
        kind = {key: model['Results'][0][key] for key in ('Task', 'Dataset')}
        own = found.get(model['Config'])
        if own:
            data['Trained'] = SOURCE
        elif data.get('Trained') != PAGE:
            data['Trained'] = NOT_HERE
        model['Results'] = [dict(kind, **entry) for entry in own or [dict(Metrics={})]]
    return meta


def text(meta: dict) -> str:
    """A metafile as it is written."""
    parts = (
        yaml.dump({key: value}, Dumper=_Indented, sort_keys=False, allow_unicode=True, width=100)
        for key, value in meta.items()
    )
    return '\n'.join(parts)


def write() -> None:
    """Bring all metafiles up to date."""
    found = measured()
    for path in sorted(CONFIGS.glob('*/metafile.yml')):
        meta = with_results(yaml.safe_load(path.read_text()), found)
        with atomic_path(path) as temporary:
            temporary.write_text(text(meta))
