"""Every registered hook does the same to a distilled student as to a plain one.

The distiller's terms weigh nothing here, so that the student must end bit for bit as in a plain
training with the same hook, its moving average and its scores included.
"""

import copy
import sys
import types

import cv2
import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from mmdet.registry import HOOKS as DET
from mmdet.structures.bbox import HorizontalBoxes
from mmengine.config import ConfigDict
from mmengine.dataset import pseudo_collate
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.registry import HOOKS as ROOT
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmseg.registry import HOOKS as SEG
from torch.utils.data import Dataset

from mmkd_sod.registry import HOOKS, MODELS
from mmkd_sod.testing.small_detectors import small_detector
from mmkd_sod.testing.small_segmentors import small_segmentor
from tests.conftest import forget_visualizers
from tests.detection import crosskd_cfg, detector
from tests.test_models.test_algorithms.test_dense_distill import PKD

PACKAGES = ('mmengine', 'mmdet', 'mmseg', 'mmkd_sod')

# Hook -> its settings in a training of a detector with validation, unless GROUPS names another.
APPLY = {
    # mmengine's default hooks are in every run.
    'mmengine.CheckpointHook': None,
    'mmengine.DistSamplerSeedHook': None,
    'mmengine.IterTimerHook': None,
    'mmengine.LoggerHook': None,
    'mmengine.ParamSchedulerHook': None,
    'mmengine.RuntimeInfoHook': None,
    'mmengine.EMAHook': dict(momentum=0.1),
    'mmengine.EarlyStoppingHook': dict(monitor='score', patience=1, rule='greater'),
    'mmengine.EmptyCacheHook': dict(),
    'mmengine.NaiveVisualizationHook': dict(),
    'mmengine.PrepareTTAHook': dict(
        tta_cfg=dict(
            type='DetTTAModel',
            tta_cfg=dict(nms=dict(type='nms', iou_threshold=0.6), max_per_img=10),
        )
    ),
    'mmengine.ProfilerHook': dict(on_trace_ready=dict(type='log_trace')),
    'mmengine.SyncBuffersHook': dict(),
    'mmdet.CheckInvalidLossHook': dict(interval=1),
    'mmdet.DetVisualizationHook': dict(draw=True, interval=1),
    'mmdet.GroundingVisualizationHook': dict(draw=True, interval=1),
    'mmdet.MemoryProfilerHook': dict(interval=1),
    'mmdet.NumClassCheckHook': dict(),
    'mmdet.PipelineSwitchHook': dict(
        switch_epoch=1, switch_pipeline=[dict(type='LoadImageFromFile'), dict(type='PackDetInputs')]
    ),
    'mmdet.SetEpochInfoHook': dict(),
    'mmdet.SyncNormHook': dict(),
    'mmdet.YOLOXModeSwitchHook': dict(num_last_epochs=1, skip_type_keys=('RandomFlip',)),
    'mmseg.SegVisualizationHook': dict(draw=True, interval=1),
    'mmkd_sod.EpochScheduleHook': dict(),
    'mmkd_sod.FiniteLossHook': dict(),
    'mmkd_sod.LabelRangeHook': dict(),
    'mmkd_sod.PanelHook': dict(interval=1, images=1),
    'mmkd_sod.RunStateHook': dict(),
    'mmkd_sod.SharedMemoryHook': dict(),
    'mmkd_sod.StepSeedHook': dict(),
}
CANNOT = {
    'mmdet.MeanTeacherHook': 'overwrites the teacher, which is frozen here; refused by the tools',
    'mmdet.TrackVisualizationHook': 'draws videos of tracking models, which are no detectors',
    'mmengine.NPUProfilerHook': 'needs an Ascend NPU',
}
# Hooks that need another student, or that a run ends with.
OTHER_STUDENT = {
    'mmdet.SetEpochInfoHook': 'schedule',
    'mmdet.YOLOXModeSwitchHook': 'yolox',
    'mmseg.SegVisualizationHook': 'segmentor',
}
ALONE = ('mmengine.PrepareTTAHook', 'mmengine.ProfilerHook', 'mmdet.PipelineSwitchHook')
TOGETHER = [
    name
    for name, settings in APPLY.items()
    if settings is not None and name not in OTHER_STUDENT and name not in ALONE
]


def test_no_hook_is_left_out():
    registered = set()
    for registry in (ROOT, DET, SEG, HOOKS):
        registry.import_from_location()
        registered |= {
            f'{cls.__module__.split(".")[0]}.{name}'
            for name, cls in registry.module_dict.items()
            if cls.__module__.split('.')[0] in PACKAGES and '.testing' not in cls.__module__
        }
    assert registered == set(APPLY) | set(CANNOT)


def test_the_documentation_lists_those_that_do_not_apply(root):
    text = (root / 'docs/launching.md').read_text()
    assert [name for name in CANNOT if f'| `{name}` |' not in text] == []


class Images(Dataset):
    """Four images in files, with one box or a label map each."""

    metainfo = dict(classes=('a', 'b', 'c'), palette=[(9, 9, 9), (0, 200, 0), (200, 0, 0)])

    def __init__(self, folder, pipeline):
        self.folder, self.steps, self.skipped = folder, pipeline, []
        self.pipeline = Compose(pipeline)

    def __len__(self):
        return 4

    def update_skip_type_keys(self, keys):
        """As of mmdet's MultiImageMixDataset."""
        self.pipeline = Compose([step for step in self.steps if step['type'] not in keys])

    def get_data_info(self, index):
        return dict(img_path=str(self.folder / f'{index}.png'), img_id=index)

    def __getitem__(self, index):
        if self.steps[-1]['type'] == 'PackSegInputs':
            labels = np.full((96, 128), index % 3, np.uint8)
            truth = dict(gt_seg_map=labels, seg_fields=['gt_seg_map'], seg_map_path=None)
        else:
            box = torch.tensor([[4.0, 4.0 + index, 60.0, 64.0 + index]])
            truth = dict(
                gt_bboxes=HorizontalBoxes(box),
                gt_bboxes_labels=np.array([index % 3]),
                gt_ignore_flags=np.zeros(1, bool),
            )
        return self.pipeline(dict(self.get_data_info(index), scale_factor=(1.0, 1.0), **truth))


class Score(BaseMetric):
    """Metric that depends on every prediction."""

    def process(self, data_batch, data_samples):
        for sample in data_samples:
            found = sample.get('pred_instances') or sample.get('seg_logits')
            values = found['scores'] if 'scores' in found else found['data']
            self.results.append(float(values.sum()))

    def compute_metrics(self, results):
        return dict(score=sum(results))


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp('images')
    for index in range(4):
        image = np.random.default_rng(index).integers(0, 256, (96, 128, 3), np.uint8)
        cv2.imwrite(str(found / f'{index}.png'), image)
    return found


@pytest.fixture(autouse=True)
def memory_profilers(monkeypatch):
    """Stand-ins for two packages that MemoryProfilerHook imports."""
    used = types.SimpleNamespace(available=1, used=1, percent=1, total=2)
    monkeypatch.setitem(
        sys.modules,
        'psutil',
        types.SimpleNamespace(swap_memory=lambda: used, virtual_memory=lambda: used),
    )
    monkeypatch.setitem(
        sys.modules, 'memory_profiler', types.SimpleNamespace(memory_usage=lambda: [1.0])
    )


def schedule():
    """Return a detector with ``set_epoch``, which SetEpochInfoHook calls."""
    from mmdet.models import GFL

    class Scheduled(GFL):
        def set_epoch(self, epoch):
            self.bbox_head.epoch = epoch

    cfg = detector(channels=16, convs=2)
    if 'ScheduledGFL' not in MODELS.module_dict:
        MODELS.register_module(name='ScheduledGFL', module=Scheduled)
    return dict(cfg, type='mmkd_sod.ScheduledGFL')


NOTHING = copy.deepcopy(PKD)
NOTHING['distill_losses']['loss_feat_kd']['loss_weight'] = 0.0
ON_MAPS = copy.deepcopy(NOTHING)
for recorders in ('student_recorders', 'teacher_recorders'):
    ON_MAPS[recorders]['neck']['source'] = 'backbone'
# Student -> scope, model, distiller.
STUDENTS = dict(
    gfl=('mmdet', lambda: detector(channels=16, convs=2), crosskd_cfg(idx=1, weight=0.0)),
    schedule=('mmdet', schedule, crosskd_cfg(idx=1, weight=0.0)),
    yolox=('mmdet', lambda: small_detector('YOLOXHead'), NOTHING),
    segmentor=('mmseg', lambda: small_segmentor('FCN', 3, (96, 128)).to_dict(), ON_MAPS),
)


def train(names, folder, work_dir, student='gfl', distilled=False, test=False):
    """Train two epochs of two steps with hooks; return the Runner and its last checkpoint."""
    forget_visualizers()
    scope, model, distiller = STUDENTS[student]
    init_default_scope(scope)
    model = model()
    if distilled:
        model = dict(
            type='mmkd_sod.DenseDistill',
            architecture=model,
            teacher=copy.deepcopy(model),
            teacher_allow_missing=['*'],
            distiller=copy.deepcopy(distiller),
        )
    pack = 'PackDetInputs' if scope == 'mmdet' else 'PackSegInputs'
    pipeline = [dict(type='LoadImageFromFile'), dict(type='RandomFlip', prob=0.5), dict(type=pack)]
    loader = dict(
        batch_size=2,
        num_workers=0,
        dataset=Images(folder, pipeline),
        sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=pseudo_collate,
    )
    still = [step for step in pipeline if step['type'] != 'RandomFlip']
    fixed = dict(loader, dataset=Images(folder, still))
    views = dict(type='TestTimeAug', transforms=[[dict(type='RandomFlip', prob=1.0)], still[1:]])
    many = dict(loader, dataset=Images(folder, [still[0], views]))
    runner = Runner(
        model=ConfigDict(model),
        work_dir=str(work_dir),
        experiment_name=f'{work_dir.parent.name}_{work_dir.name}',
        train_dataloader=loader,
        train_cfg=dict(by_epoch=True, max_epochs=2),
        val_dataloader=fixed,
        val_cfg=dict(),
        val_evaluator=Evaluator(Score()),
        test_dataloader=many if test else fixed,
        test_cfg=dict(),
        test_evaluator=Evaluator(Score()),
        default_scope=scope,
        log_level='ERROR',
        visualizer=dict(
            type='DetLocalVisualizer' if scope == 'mmdet' else 'SegLocalVisualizer',
            vis_backends=[dict(type='LocalVisBackend')],
        ),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=1e-3, momentum=0.9)),
        param_scheduler=[dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=3)],
        custom_hooks=[ConfigDict(type=name, **APPLY[name]) for name in names],
        randomness=dict(seed=1),
    )
    runner.train()
    score = runner.test() if test else None
    return runner, score, torch.load(work_dir / 'epoch_2.pth', weights_only=True)


def of_the_student(state: dict) -> dict:
    return {key: value for key, value in state.items() if 'distiller.' not in key}


def assert_alike(names, folder, tmp_path, student='gfl', test=False):
    """Compare a plain and a distilled training; return both Runners."""
    plain_names = [name for name in names if name != 'mmkd_sod.PanelHook']
    plain, score, wanted = train(plain_names, folder, tmp_path / 'plain', student, test=test)
    ours, own_score, found = train(names, folder, tmp_path / 'ours', student, True, test)
    for part in ('state_dict', 'ema_state_dict'):
        one, other = wanted.get(part, {}), of_the_student(found.get(part, {}))
        one = {key.replace('module.', ''): value for key, value in one.items()}
        other = {
            key.replace('module.', '').replace('architecture.', ''): value
            for key, value in other.items()
        }
        assert one.keys() == other.keys()
        assert [key for key in one if not torch.equal(one[key], other[key])] == []
    assert score == own_score
    logged = [
        runner.message_hub.get_scalar('val/score').data[0].tolist() for runner in (plain, ours)
    ]
    assert logged[0] == logged[1] and len(logged[0]) >= 1
    assert found['meta']['iter'] == wanted['meta']['iter'] == 4
    drawn = [
        sorted(path.name for path in (tmp_path / run).rglob('*.png') if 'panel' not in path.name)
        for run in ('plain', 'ours')
    ]
    assert drawn[0] == drawn[1]
    return plain, ours


def test_many_hooks_in_one_run(folder, tmp_path):
    plain, ours = assert_alike(TOGETHER, folder, tmp_path)
    for runner in (plain, ours):
        missing = {name.split('.')[1] for name in TOGETHER} - {
            type(hook).__name__ for hook in runner.hooks
        }
        assert missing == ({'PanelHook'} if runner is plain else set())
    assert any('panel' in path.name for path in (tmp_path / 'ours').rglob('*.png'))


@pytest.mark.parametrize('name', sorted(OTHER_STUDENT))
def test_hooks_of_special_students(folder, tmp_path, name):
    plain, ours = assert_alike([name], folder, tmp_path, OTHER_STUDENT[name])
    if name == 'mmdet.YOLOXModeSwitchHook':
        assert plain.model.bbox_head.use_l1 and ours.model.student.bbox_head.use_l1
    if name == 'mmdet.SetEpochInfoHook':
        assert plain.model.bbox_head.epoch == ours.model.student.bbox_head.epoch == 1


def test_another_pipeline_halfway(folder, tmp_path):
    _, ours = assert_alike(['mmdet.PipelineSwitchHook'], folder, tmp_path)
    assert len(ours.train_dataloader.dataset.pipeline.transforms) == 2


def test_augmented_testing(folder, tmp_path):
    assert_alike(['mmengine.PrepareTTAHook'], folder, tmp_path, test=True)


@pytest.mark.slow
@pytest.mark.parametrize('name', [*TOGETHER, 'mmengine.ProfilerHook'])
def test_each_hook_alone(folder, tmp_path, name):
    assert_alike([name], folder, tmp_path)


def test_averages_of_norm_layers_reach_the_student(monkeypatch):
    from mmdet.engine.hooks import sync_norm_hook

    monkeypatch.setattr(sync_norm_hook, 'get_dist_info', lambda: (0, 2))
    monkeypatch.setattr(
        sync_norm_hook,
        'all_reduce_dict',
        lambda states, op: {key: value + 1 for key, value in states.items()},
    )
    init_default_scope('mmdet')
    model = MODELS.build(
        dict(
            type='mmkd_sod.DenseDistill',
            architecture=detector(),
            teacher=detector(width=8),
            distiller=crosskd_cfg(),
            teacher_allow_missing=['*'],
        )
    )
    mean = model.student.backbone.bn1.running_mean.clone()
    sync_norm_hook.SyncNormHook().before_val_epoch(types.SimpleNamespace(model=model))
    assert torch.equal(model.student.backbone.bn1.running_mean, mean + 1)
