"""Child registries of mmengine's registries, with the scope ``mmkd_sod``.

Types in configs need that scope: ``type='mmkd_sod.DenseDistill'``. A registry imports its
``locations`` on first use, so that ``import mmkd_sod`` is fast.
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

# One location per subpackage: if a dependency of one is broken, mmengine warns and the others
# still work.
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
    ],
)
DATASETS = Registry(
    'dataset',
    parent=MMENGINE_DATASETS,
    scope=SCOPE,
    # A separate location, since CamVid needs mmseg.
    locations=['mmkd_sod.datasets', 'mmkd_sod.datasets.camvid'],
)
TRANSFORMS = Registry(
    'transform', parent=MMENGINE_TRANSFORMS, scope=SCOPE, locations=['mmkd_sod.datasets.transforms']
)
DATA_SAMPLERS = Registry(
    'data sampler',
    parent=MMENGINE_DATA_SAMPLERS,
    scope=SCOPE,
    locations=['mmkd_sod.datasets.samplers'],
)
METRICS = Registry(
    'metric', parent=MMENGINE_METRICS, scope=SCOPE, locations=['mmkd_sod.evaluation']
)
HOOKS = Registry('hook', parent=MMENGINE_HOOKS, scope=SCOPE, locations=['mmkd_sod.engine.hooks'])
VISUALIZERS = Registry(
    'visualizer', parent=MMENGINE_VISUALIZERS, scope=SCOPE, locations=['mmkd_sod.visualization']
)
# Readers of detection heads for CrossKD, by class name of the head; without a parent registry.
HEAD_READERS = Registry('head reader', scope=SCOPE, locations=['mmkd_sod.models.task_modules'])
# Readers of pairs of detectors for CrossKD, by class name of the head that crosses.
CROSS_READERS = Registry('cross reader', scope=SCOPE, locations=['mmkd_sod.models.task_modules'])
