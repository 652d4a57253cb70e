"""The doctor on the configs of this project and on the base data sets of mmdet and mmseg.

Data are replaced by generated samples and teachers are random, so that the doctor may find faults;
it must never fail itself, and every fault has a reason.
"""

import re
from importlib.util import find_spec

import mmdet
import mmdet.datasets
import mmseg
import mmseg.datasets
import pytest
from mmdet.datasets import OpenImagesDataset
from mmengine.config import Config
from mmengine.model.weight_init import PretrainedInit
from mmengine.registry import DATASETS

from mmkd_sod.cli.errors import explained
from mmkd_sod.doctor import examine_config, weights
from mmkd_sod.engine.checks import datasets_within
from tests.conftest import ROOT, forget_visualizers
from tests.fitting_models import fitting_model
from tests.generated_data import on_generated_data, package_configs, without_downloads

OWN = sorted(path for path in (ROOT / 'configs').glob('*/*.py') if path.parent.name != '_base_')
BASES = dict(
    mmdet=sorted((package_configs(mmdet) / '_base_/datasets').glob('*.py')),
    mmseg=sorted((package_configs(mmseg) / '_base_/datasets').glob('*.py')),
)
# What the doctor says of random teachers and untrained students; anything else is a fault.
RANDOM = (
    r'the teacher[\w ]* is random',
    r'the teacher[\w ]* predicts nothing',
    r'the teacher[\w ]* is no better than a random one',
    r'distill\.[\w.]+ is too (large|small)',
    # Weights that are not downloaded here.
    r'weights of the Shunted Transformer .* does not exist',
)
# Base data sets that cannot train, by the reason that the doctor gives.
REFUSED = {
    # They have test data alone.
    'mmdet/ade20k_instance': 'no train_dataloader',
    'mmdet/ade20k_panoptic': 'no train_dataloader',
    'mmdet/ade20k_semantic': 'no train_dataloader',
    'mmdet/coco_caption': 'no train_dataloader',
    'mmdet/refcoco': 'no train_dataloader',
    'mmdet/refcoco+': 'no train_dataloader',
    'mmdet/refcocog': 'no train_dataloader',
    # The paths in it are to be filled in.
    'mmdet/dsdl': 'does not exist',
    # Its batch sampler needs sizes that its data set does not have.
    'mmdet/coco_semantic': 'AspectRatioBatchSampler needs',
}
# Those that need a package, which the doctor names where it is missing.
PACKAGES = {
    'mmdet/cityscapes_instance': 'cityscapesscripts',
    'mmdet/coco_panoptic': 'panopticapi',
    'mmdet/lvis_v0.5_instance': 'lvis',
    'mmdet/lvis_v1_instance': 'lvis',
    'mmdet/mot_challenge': 'trackeval',
    'mmdet/mot_challenge_reid': 'mmpretrain',
    'mmseg/levir_256x256': 'gdal',
    'mmseg/nyu': 'albumentations',
    'mmseg/nyu_512x512': 'albumentations',
}
REFUSED |= {name: need for name, need in PACKAGES.items() if find_spec(need) is None}
# The short suite examines one of each kind: infinite sampler, concatenated sets, own loop.
SHORT = ('mmseg/pascal_voc12_aug', 'mmdet/voc0712')


def base_config(package: str, path, folder) -> Config:
    """Return a base data set on generated samples, with a model that fits and a schedule."""
    root = package_configs(mmdet if package == 'mmdet' else mmseg) / '_base_'
    cfg = Config.fromfile(root / 'default_runtime.py')
    schedule = 'schedule_1x' if package == 'mmdet' else 'schedule_20k'
    for part in (root / f'schedules/{schedule}.py', path):
        cfg.merge_from_dict(Config.fromfile(part)._cfg_dict.to_dict())
    cfg = on_generated_data(cfg, folder)
    cfg.model = fitting_model(package, path.stem, len(_classes(cfg)))
    if package == 'mmseg':
        # Stock configs of mmseg have it outside of the model.
        cfg.data_preprocessor = cfg.model.pop('data_preprocessor')
        cfg.data_preprocessor.size = (96, 96)
    if path.stem == 'youtube_vis':  # Its users set it, since its labels are not public.
        cfg.val_evaluator = cfg.test_evaluator = dict(
            type='YouTubeVISMetric',
            metric='youtube_vis_ap',
            outfile_prefix=f'{folder}/results',
            format_only=True,
        )
    return cfg


def _classes(cfg: Config) -> tuple[str, ...]:
    """Return the class names of the first data set that can be built, without its samples."""
    for name in ('train_dataloader', 'val_dataloader'):
        for leaf, _ in datasets_within(cfg[name].dataset, name) if cfg.get(name) else ():
            try:
                built = DATASETS.build({**leaf, 'lazy_init': True, 'pipeline': []})
            except (OSError, RuntimeError):
                continue
            if isinstance(built, OpenImagesDataset):
                built.full_init()  # Its classes are in a file.
            return tuple(built.metainfo.get('classes') or ('thing',))
    return ('thing',)


def report_on(cfg: Config):
    forget_visualizers()
    cfg = without_downloads(cfg)
    cfg.visualizer = dict(type='Visualizer')
    return examine_config(cfg, images=1, steps=1, explain=explained)


def faults(report) -> list:
    """Return the errors that random weights do not cause."""
    return [
        text
        for text in report.findings('error')
        if not any(re.match(pattern, text) for pattern in RANDOM)
    ]


def random_teachers(cfg: Config) -> Config:
    if 'teacher' in cfg.model:
        cfg.model.update(teacher_ckpt=None, teacher_allow_missing=['*'])
    return cfg


def cases():
    """Yield all base data sets, and mark those that the short suite omits."""
    for package, paths in BASES.items():
        for path in paths:
            name = f'{package}/{path.stem}'
            marks = () if name in SHORT else (pytest.mark.slow,)
            yield pytest.param(package, path, id=name, marks=marks)


@pytest.mark.parametrize('package, path', cases())
def test_base_data_sets_are_ok_or_refused_with_a_reason(package, path, tmp_path):
    report = report_on(base_config(package, path, tmp_path))
    reason = REFUSED.get(f'{package}/{path.stem}')
    if reason is None:
        assert not faults(report), report.as_text()
        assert all(section.level != 'skipped' for section in report.sections)
    else:
        assert any(reason in text for text in report.findings('error')), report.as_text()


@pytest.mark.slow
@pytest.mark.parametrize('path', OWN, ids=lambda path: f'{path.parent.name}/{path.stem}')
def test_own_configs_are_ok_up_to_their_random_teachers(path, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    # Also of students and teachers that are read by their `cfg_path`.
    monkeypatch.setattr(PretrainedInit, '__call__', lambda self, module: None)
    monkeypatch.setattr(weights, '_pretrained', lambda model: [])
    report = report_on(on_generated_data(random_teachers(Config.fromfile(path)), tmp_path))
    found = faults(report)
    if 'offline' in path.stem:  # labels that a teacher has written
        assert found and re.search('label|teacher_ckpt', found[0])
    else:
        assert not found, report.as_text()
