"""Runs whose transforms, preprocessors or heads keep numbers or images are resumed bit for bit."""

import copy

import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from mmdet.structures.bbox import HorizontalBoxes
from mmengine.dataset import pseudo_collate
from mmengine.hub import get_config
from mmengine.registry import init_default_scope
from torch import nn
from torch.utils.data import Dataset

from mmkd_sod.engine.hooks import run_state_hook
from mmkd_sod.engine.hooks.run_state_hook import cached_transforms, load_module_state, module_state
from mmkd_sod.registry import MODELS
from mmkd_sod.testing.small_detectors import small_detector
from tests.methods import METHODS, loader, runner
from tests.test_engine.test_hooks.test_step_seed_hook import differences, train

MOSAIC = dict(type='CachedMosaic', img_scale=(64, 64), max_cached_images=6)
MIXUP = dict(type='CachedMixUp', img_scale=(64, 64), max_cached_images=3)


class Boxes(Dataset):
    """Eight images with one box each, through transforms that cache images."""

    metainfo = dict(classes=('a', 'b', 'c'))

    def __init__(self):
        init_default_scope('mmdet')
        self.pipeline = Compose(
            [
                MOSAIC,
                dict(type='RandomApply', transforms=[MIXUP], prob=0.8),
                dict(type='Resize', scale=(96, 64), keep_ratio=False),
                dict(type='PackDetInputs', meta_keys=('img_shape', 'ori_shape', 'scale_factor')),
            ]
        )

    def __len__(self):
        return 8

    def __getitem__(self, index):
        box = torch.tensor([[4.0, 4.0 + index, 40.0, 44.0 + index]])
        return self.pipeline(
            dict(
                img=np.random.default_rng(index).integers(0, 256, (64, 80, 3), np.uint8),
                img_shape=(64, 80),
                ori_shape=(64, 80),
                scale_factor=(1.0, 1.0),
                gt_bboxes=HorizontalBoxes(box),
                gt_bboxes_labels=np.array([index % 3]),
                gt_ignore_flags=np.zeros(1, bool),
            )
        )


def boxes(workers):
    return dict(
        dataset=Boxes(),
        batch_size=4,
        num_workers=workers,
        persistent_workers=False,
        sampler=dict(type='DefaultSampler', shuffle=True),
        collate_fn=pseudo_collate,
    )


def sizes_model():
    """CrossKD on batches whose size is drawn anew at every third step."""
    model = METHODS['crosskd'][2]()
    model['architecture']['data_preprocessor']['batch_augments'] = [
        dict(type='BatchSyncRandomResize', random_size_range=(64, 192), size_divisor=32, interval=3)
    ]
    return dict(type='mmkd_sod.DenseDistill', teacher_allow_missing=['*'], **model)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    # mmengine sleeps for two seconds at the end of each epoch of a run that counts iterations.
    monkeypatch.setattr('mmengine.runner.loops.time.sleep', lambda _: None)


@pytest.mark.parametrize(
    'by_epoch, workers',
    [(True, 0), (True, 2), (False, 0), pytest.param(False, 2, marks=pytest.mark.slow)],
)
def test_cached_images(tmp_path, by_epoch, workers):
    options = dict(by_epoch=by_epoch, interval=1 if by_epoch else 2)
    straight = train('crosskd', tmp_path / 'a', train_dataloader=boxes(workers), **options)
    stopped = train('crosskd', tmp_path / 'b', (3,), train_dataloader=boxes(workers), **options)
    assert differences(straight, stopped) == []


def test_cached_images_matter(tmp_path, monkeypatch):
    monkeypatch.setattr(run_state_hook, 'cached_transforms', lambda _: [])
    straight = train('crosskd', tmp_path / 'a', train_dataloader=boxes(0))
    stopped = train('crosskd', tmp_path / 'b', (3,), train_dataloader=boxes(0))
    assert differences(straight, stopped)


@pytest.mark.parametrize('by_epoch', [True, False])
def test_size_of_the_next_images(tmp_path, by_epoch):
    options = dict(model=sizes_model(), by_epoch=by_epoch, interval=1 if by_epoch else 2)
    straight = train('crosskd', tmp_path / 'a', **options)
    stopped = train('crosskd', tmp_path / 'b', (4 if by_epoch else 5,), **options)
    assert differences(straight, stopped) == []


def test_the_size_is_in_the_checkpoint_and_not_passed_on_by_load_from(tmp_path, monkeypatch):
    loaded = []
    monkeypatch.setattr(
        run_state_hook, 'load_module_state', lambda model, state: loaded.append(state)
    )
    train('crosskd', tmp_path / 'a', steps=4, model=sizes_model())
    path = tmp_path / 'a/epoch_2.pth'
    (state,) = torch.load(path, weights_only=True)['run_state'].values()
    height, width = state['_input_size']
    assert 64 <= height <= 192 and width == int(height * 1.5)
    train('crosskd', tmp_path / 'b', steps=2, model=sizes_model(), load_from=str(path))
    assert loaded == []


def test_checkpoints_of_other_models_hold_nothing_more(tmp_path):
    train('crosskd', tmp_path / 'a', steps=2)
    assert 'run_state' not in torch.load(tmp_path / 'a/epoch_1.pth', weights_only=True)


def test_an_earlier_checkpoint_is_resumed_with_a_warning(tmp_path, monkeypatch):
    train('crosskd', tmp_path, steps=2)
    warnings = []
    monkeypatch.setattr(
        'mmengine.logging.MMLogger.warning', lambda _, message, *args: warnings.append(message)
    )
    runner('crosskd', tmp_path, steps=4, model=sizes_model(), resume=True).train()
    assert any("no 'run_state' of this model; data_preprocessor.batch" in text for text in warnings)


def test_mmdets_modules_have_these_numbers():
    init_default_scope('mmdet')
    cfg = get_config('mmdet::dynamic_rcnn/dynamic-rcnn_r50_fpn_1x_coco.py').model
    cfg.roi_head.bbox_head.fc_out_channels = 4
    head = MODELS.build(dict(cfg.roi_head, train_cfg=cfg.train_cfg.rcnn, test_cfg=None))
    (state,) = module_state(head).values()
    assert state['iou_history'] == [] and state['bbox_head.loss_bbox.beta'] == 1.0
    assert module_state(MODELS.build(dict(type='DropBlock', drop_prob=0.1, block_size=3))) == {
        '': dict(iter_cnt=0)
    }
    ddod = small_detector('DDODHead')['bbox_head']
    head = MODELS.build(dict(ddod, train_cfg=None, test_cfg=None))
    assert module_state(head) == {'': dict(cls_num_pos_samples_per_level=[0.0] * 3)}


class Numbers(nn.Module):
    """A network with one layer of each kind that counts."""

    def __init__(self):
        super().__init__()
        self.drop = type('DropBlock', (nn.Module,), {})()
        self.drop.iter_cnt = 3
        head = self.head = type('DynamicRoIHead', (nn.Module,), {})()
        head.iou_history, head.beta_history = [np.float64(0.5)], []
        head.bbox_assigner = type('Assigner', (), {})()
        for name in ('pos_iou_thr', 'neg_iou_thr', 'min_pos_iou'):
            setattr(head.bbox_assigner, name, np.float64(0.4))
        head.bbox_head = nn.Module()
        head.bbox_head.loss_bbox = nn.Module()
        head.bbox_head.loss_bbox.beta = 1.0


def test_numbers_of_modules(tmp_path):
    model, other = Numbers(), Numbers()
    model.drop.iter_cnt, model.head.bbox_assigner.pos_iou_thr = 7, np.float64(0.6)
    model.head.beta_history.append(np.float64(0.25))
    torch.save(module_state(model), tmp_path / 'state.pth')
    load_module_state(other, torch.load(tmp_path / 'state.pth', weights_only=True))
    assert module_state(other) == module_state(model)
    assert (other.drop.iter_cnt, other.head.bbox_assigner.pos_iou_thr) == (7, 0.6)
    assert other.head.beta_history == [0.25]


@pytest.mark.parametrize(
    'state',
    [
        None,
        [],
        dict(),
        dict(drop=dict(iter_cnt=1)),
        dict(drop=dict(iter_cnt='x')),
        dict(drop=dict(iter_cnt=None)),
        dict(drop=3),
    ],
)
def test_states_that_do_not_fit_change_nothing(state):
    model = Numbers()
    before = copy.deepcopy(module_state(model))
    with pytest.raises((KeyError, TypeError, ValueError)):
        load_module_state(model, state)
    assert module_state(model) == before


def test_cached_transforms_are_found_in_wrappers():
    from mmdet.datasets.transforms import CachedMixUp, CachedMosaic
    from torch.utils.data import ConcatDataset

    dataset = ConcatDataset([Boxes(), Boxes()])
    found = [type(transform) for transform in cached_transforms(dataset)]
    assert found == [CachedMosaic, CachedMixUp] * 2
    assert [*cached_transforms(loader('crosskd')['dataset'])] == []
