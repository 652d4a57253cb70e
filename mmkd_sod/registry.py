"""Child registries of mmengine's, scope ``mmkd_sod``.

``locations`` makes a registry import its modules at the first look-up, so that ``import mmkd_sod``
stays light. In a config write the scope: ``type='mmkd_sod.DenseDistill'``.
"""
from mmengine.registry import DATA_SAMPLERS as MMENGINE_DATA_SAMPLERS
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import METRICS as MMENGINE_METRICS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import VISUALIZERS as MMENGINE_VISUALIZERS
from mmengine.registry import Registry

SCOPE = 'mmkd_sod'

# Networks, distillers, algorithms and losses. One location a room: if a dependency of one room is
# broken, mmengine warns and the other rooms stay usable.
MODELS = Registry(
    'model',
    parent=MMENGINE_MODELS,
    scope=SCOPE,
    locations=[
        'mmkd_sod.models.losses',
        'mmkd_sod.models.distillers',
        'mmkd_sod.models.algorithms',
        'mmkd_sod.models.backbones',
        'mmkd_sod.models.decode_heads',
        'mmkd_sod.models.segmentors',
        'mmkd_sod.models.data_preprocessors',
    ])
DATASETS = Registry(
    'dataset',
    parent=MMENGINE_DATASETS,
    scope=SCOPE,
    # CamVid is apart since it needs mmseg.
    locations=['mmkd_sod.datasets', 'mmkd_sod.datasets.camvid'])
TRANSFORMS = Registry(
    'transform',
    parent=MMENGINE_TRANSFORMS,
    scope=SCOPE,
    locations=['mmkd_sod.datasets.transforms'])
DATA_SAMPLERS = Registry(
    'data sampler',
    parent=MMENGINE_DATA_SAMPLERS,
    scope=SCOPE,
    locations=['mmkd_sod.datasets.samplers'])
METRICS = Registry(
    'metric', parent=MMENGINE_METRICS, scope=SCOPE, locations=['mmkd_sod.evaluation'])
HOOKS = Registry('hook', parent=MMENGINE_HOOKS, scope=SCOPE, locations=['mmkd_sod.engine.hooks'])
VISUALIZERS = Registry(
    'visualizer', parent=MMENGINE_VISUALIZERS, scope=SCOPE, locations=['mmkd_sod.visualization'])
# How detection heads are read (CrossKD), by the class name of the head. Not a part of mmengine's
# tree: nothing else looks here.
HEAD_READERS = Registry('head reader', scope=SCOPE, locations=['mmkd_sod.models.task_modules'])
