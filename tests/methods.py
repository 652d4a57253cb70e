"""One small training of each method on generated data, for tests of complete runs."""

import copy
import functools
import itertools
import random

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch.utils.data import Dataset

from mmkd_sod.registry import MODELS
from mmkd_sod.testing import small_detectors, small_segmentors
from tests import rgbd, saliency
from tests.conftest import forget_visualizers
from tests.detection import crosskd_cfg, detector

_COUNT = itertools.count()


class Samples(Dataset):
    """Data set of generated samples; each access adds noise from every random generator.

    Args:
        kind (str): Key of ``MAKERS``.
        number (int): Number of samples.
        noise (bool): Whether to add noise.
        empty (tuple): Indices of images without objects.
    """

    metainfo = dict(classes=('background', 'salient'))

    def __init__(self, kind, number=8, noise=True, empty=()):
        self.kind, self.number, self.noise, self.empty = kind, number, noise, empty

    def __len__(self):
        return self.number

    def get_data_info(self, index):
        return dict(group=index // 4, dataset_name='x', img_path=f'images/{index}.jpg')

    def __getitem__(self, index):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(index)
            sample = MAKERS[self.kind](index, index in self.empty)
        sample['data_samples'].set_metainfo(dict(img_path=f'images/{index}.jpg'))
        images = sample['inputs']
        image = images['img'] if isinstance(images, dict) else images
        if self.noise:
            shift = np.random.randint(9) + random.randrange(9) + torch.randint(9, (1,)).item()
            image = (image.int() + shift).clamp(0, 255).byte()
            if isinstance(images, dict):
                images['img'] = image
            else:
                sample['inputs'] = image
        return sample


def _first(data):
    return dict(inputs=data['inputs'][0], data_samples=data['data_samples'][0])


def _boxes(index, empty):
    return _first(small_detectors.random_batch(1, 64, 96, seed=index, empty=(0,) if empty else ()))


def _labels(index, empty):
    return _first(small_segmentors.random_batch(1, 32, 32, seed=index, classes=1 if empty else 5))


def _image(index, empty):
    _, samples = saliency.batch(1, 64, seed=index)
    return dict(inputs=torch.randint(0, 256, (3, 64, 64)).byte(), data_samples=samples[0])


def _group(index, empty):
    data = rgbd.batch(1, 32, 32)
    if empty:
        data['data_samples'][0].gt_sem_seg.data.zero_()
    return dict(
        inputs={key: value[0] for key, value in data['inputs'].items()},
        data_samples=data['data_samples'][0],
    )


MAKERS = dict(boxes=_boxes, labels=_labels, image=_image, group=_group)


@functools.cache
def _fcn():
    return small_segmentors.small_segmentor('FCN', 5, (32, 32))


def _segmentor(width):
    cfg = copy.deepcopy(_fcn())
    cfg.decode_head.channels = width
    cfg.decode_head.dropout_ratio = 0.1
    return cfg


def _cskd(projection):
    loss = dict(type='mmkd_sod.ChannelSpatialKDLoss', projection=projection, grid=(2, 2))
    return dict(
        architecture=_segmentor(16),
        teacher=_segmentor(24),
        distiller=dict(type='mmkd_sod.CSKDDistiller', loss_feat=loss),
    )


def _hkd():
    return dict(
        architecture=rgbd.hkdnet(),
        teacher=rgbd.hkdnet(),
        distiller=dict(
            type='mmkd_sod.HKDDistiller',
            target_entropy=0.5,
            label_weight=0.0625,
            schedule=dict(stage_ends=(0, 1), tau_start=5, tau_step=2),
            loss_pnlad=dict(type='mmkd_sod.PNLADLoss', level_weights=(4, 1, 1, 1)),
            loss_fpd=dict(type='mmkd_sod.FPDLoss', level_weights=(4, 1, 1, 1)),
            loss_dssd=dict(type='mmkd_sod.DSSDLoss', loss_weight=4.0),
            loss_dssd_decoder=dict(type='mmkd_sod.DSSDLoss'),
        ),
    )


def _weak_label():
    preprocessor = dict(type='mmkd_sod.SODDataPreprocessor', sides=(32, 64))
    return dict(
        architecture=saliency.scfnet(),
        teacher=saliency.scfnet(),
        calculate_student_loss=False,
        data_preprocessor=preprocessor,
        distiller=dict(
            type='mmkd_sod.WeakLabelDistiller',
            loss=dict(type='mmkd_sod.StructurePolishingLoss', every=1),
        ),
    )


# Method -> scope, kind of samples, model config.
METHODS = dict(
    crosskd=(
        'mmdet',
        'boxes',
        lambda: dict(
            architecture=detector(channels=16, convs=2),
            teacher=detector(channels=16, convs=2),
            distiller=crosskd_cfg(idx=1),
        ),
    ),
    cskd_resampled=('mmseg', 'labels', lambda: _cskd('resampled')),
    cskd_learned=('mmseg', 'labels', lambda: _cskd('learned')),
    weak_label=('mmseg', 'image', _weak_label),
    hkd=('mmseg', 'group', _hkd),
)
FOUR = ('crosskd', 'cskd_resampled', 'weak_label', 'hkd')


def build(method, **options):
    """Build the DenseDistill of a method; its random teacher is always the same."""
    scope, _, model = METHODS[method]
    init_default_scope(scope)
    cfg = dict(type='mmkd_sod.DenseDistill', teacher_allow_missing=['*'], **model())
    cfg.update(options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return MODELS.build(Config(cfg)._cfg_dict)


def loader(method, batch_size=4, **samples):
    """Return the config of a training loader of the method's samples."""
    cfg = dict(
        dataset=Samples(METHODS[method][1], **samples),
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=True),
        collate_fn=pseudo_collate,
    )
    if method == 'hkd':
        cfg['batch_sampler'] = dict(type='mmkd_sod.GroupBatchSampler')
    return dict(cfg, batch_size=batch_size)


def runner(
    method,
    work_dir,
    steps=6,
    by_epoch=True,
    interval=1,
    hooks=(),
    resume=False,
    model=None,
    keep=2,
    seed=3,
    **options,
):
    """Return a Runner of a method: epochs of two steps, momentum, a schedule, EMA.

    Args:
        method (str): Key of ``METHODS``.
        work_dir (str | Path): Folder of the run.
        steps (int): Length of the training.
        by_epoch (bool): Count epochs, else iterations.
        interval (int): Epochs or iterations between checkpoints.
        hooks (tuple): Further hooks.
        resume (bool): Resume from the checkpoint in the folder.
        model: Model config instead of the method's.
        keep (int): Checkpoints to keep.
        seed (int): Seed of the run.
        options: Further arguments of the Runner.
    """
    forget_visualizers()
    torch.manual_seed(seed)
    train_cfg = (
        dict(by_epoch=True, max_epochs=-(-steps // 2))
        if by_epoch
        else dict(type='IterBasedTrainLoop', max_iters=steps)
    )
    epoch_hook = dict(type='mmkd_sod.EpochScheduleHook')
    if not by_epoch:
        epoch_hook['iters_per_epoch'] = 2
    return Runner(
        **dict(
            dict(
                model=model or build(method),
                work_dir=str(work_dir),
                resume=resume,
                experiment_name=f'{method}{next(_COUNT)}',
                train_dataloader=loader(method),
                train_cfg=train_cfg,
                default_scope=METHODS[method][0],
                log_level='ERROR',
                optim_wrapper=dict(optimizer=dict(type='SGD', lr=1e-3, momentum=0.9)),
                param_scheduler=[
                    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=5)
                ],
                default_hooks=dict(
                    checkpoint=dict(
                        type='CheckpointHook',
                        interval=interval,
                        by_epoch=by_epoch,
                        max_keep_ckpts=keep,
                    )
                ),
                custom_hooks=[
                    epoch_hook,
                    dict(type='mmkd_sod.StepSeedHook'),
                    dict(type='mmkd_sod.RunStateHook'),
                    dict(type='EMAHook', momentum=0.1),
                    *hooks,
                ],
                randomness=dict(seed=seed),
            ),
            **options,
        )
    )
