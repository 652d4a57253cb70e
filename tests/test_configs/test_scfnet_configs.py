"""Every SCFNet config builds, leaves stay short, and the demos train a step."""

import pytest
import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DATASETS
from mmengine.runner import Runner

from mmkd_sod.models.builder import build_model
from mmkd_sod.models.saliency_inferencer import saliency_config
from tests.conftest import ROOT
from tests.saliency import batch, save_network
from tests.sod_data import write_set

LEAVES = sorted((ROOT / 'configs/scfnet').glob('*.py'))
DEMOS = sorted((ROOT / 'configs/demo').glob('human_seg_*.py'))


def files(paths):
    slow = [path.stem in ('scfnet_r50', 'scfnet_vgg16', 'scfnet_swin_b') for path in paths]
    return [
        pytest.param(path, id=path.stem, marks=[pytest.mark.slow] if heavy else [])
        for path, heavy in zip(paths, slow, strict=True)
    ]


def test_there_are_configs():
    names = {path.stem for path in LEAVES}
    assert {
        'scfnet_mobilenetv3',
        'scfnet_r50',
        'scfnet_vgg16',
        'scfnet_swin_b',
        'kd_scfnet_mobilenetv3',
        'kd_scfnet_mobilenetv3_swin_b',
    } <= names
    demos = {path.stem.removeprefix('human_seg_scfnet_') for path in DEMOS}
    assert {'teacher', 'student', 'kd', 'kd_offline'} <= demos


@pytest.mark.parametrize('path', files([*LEAVES, *DEMOS]))
def test_leaf_is_short_and_its_student_builds(path):
    code = [line for line in path.read_text().split('"""')[-1].splitlines() if line.strip()]
    assert len(code) < 20
    cfg = Config.fromfile(path)
    assert cfg.default_hooks.checkpoint.rule == 'less'
    assert cfg.default_hooks.checkpoint.save_best == 'sod/MAE'
    assert any(hook['type'] == 'mmkd_sod.EpochScheduleHook' for hook in cfg.custom_hooks)
    model = revert_sync_batchnorm(build_model(saliency_config(path).model)).eval()
    inputs, samples = batch(1, 64)
    with torch.no_grad():
        (result,) = model(inputs, samples, mode='predict')
    assert result.seg_logits.data.shape == (1, 64, 64)


@pytest.mark.parametrize('name', ['kd_scfnet_mobilenetv3', 'kd_fast_scnn'])
def test_distillation_without_masks(name):
    cfg = Config.fromfile(ROOT / f'configs/scfnet/{name}.py')
    small = Config.fromfile(ROOT / 'configs/_base_/models/scfnet_mobilenetv3.py').model
    model = build_model(
        dict(cfg.model, teacher=small, teacher_ckpt=None, teacher_allow_missing=['*'])
    )
    # Fast-SCNN's SyncBN asks for a GPU.
    losses = revert_sync_batchnorm(model)(*batch(2, 64), mode='loss')
    assert losses and all('distill.loss_weak' in key for key in losses)
    sum(losses.values()).backward()


def curve(cfg, work_dir):
    """Total losses of a short run."""
    cfg.work_dir = str(work_dir)
    cfg.train_cfg.max_epochs, cfg.train_cfg.val_interval = 3, 3
    cfg.log_level = 'ERROR'
    cfg.default_hooks.logger.interval = 1
    cfg.experiment_name = f'{work_dir.parent.name}_{work_dir.name}'
    losses = []
    runner = Runner.from_cfg(cfg)
    step = runner.model.parse_losses

    def parse(*args):
        out = step(*args)
        losses.append(float(out[0]))
        return out

    runner.model.parse_losses = parse
    runner.train()
    return losses, runner


@pytest.fixture
def demo(tmp_path, monkeypatch):
    """The demos' data, four small images, and a random teacher where its run would leave it."""
    monkeypatch.chdir(tmp_path)
    root = write_set(tmp_path / 'data/human_seg', shapes=[(40 + i, 60) for i in range(4)])
    for split in ('train', 'test'):
        (root / f'{split}.txt').write_text('0\n1\n2\n3\n')
    teacher = save_network(tmp_path)

    def load(name):
        cfg = Config.fromfile(ROOT / f'configs/demo/human_seg_scfnet_{name}.py')
        cfg.train_dataloader.batch_size = 2
        model = cfg.model.get('architecture')
        if model is None:
            cfg.model.data_preprocessor.sides = (64, 96)
        else:
            model.data_preprocessor = dict(sides=(64, 96))
        cfg.test_dataloader.dataset.pipeline[1].scale = (64, 64)
        cfg.val_dataloader.dataset.pipeline[1].scale = (64, 64)
        return cfg

    return load, teacher


def test_demo_student_trains_and_is_measured(demo, tmp_path):
    losses, runner = curve(demo[0]('student'), tmp_path / 'run')
    assert len(losses) == 6 and losses[-1] < losses[0]
    assert list((tmp_path / 'run').glob('best_sod_MAE*.pth'))
    assert 0 < runner.message_hub.get_scalar('val/sod/MAE').current() < 1


def test_demo_offline_curve_equals_the_teachers_own_maps(demo, tmp_path):
    from mmkd_sod.apis.weak_label_writer import WeakLabelWriter
    from mmkd_sod.models.saliency_inferencer import SaliencyInferencer

    load, (config, checkpoint) = demo
    offline, online = load('kd_offline'), load('kd_offline')
    where = dict(teacher=config, teacher_ckpt=checkpoint, side=64)
    online.train_dataloader.dataset.pipeline[1] = dict(type='mmkd_sod.PredictWeakLabel', **where)
    offline.train_dataloader.dataset.pipeline[1].update(where)
    dataset = DATASETS.build(dict(online.train_dataloader.dataset, pipeline=[]))
    images = [dataset.get_data_info(i) for i in range(4)]
    WeakLabelWriter(
        SaliencyInferencer(config, checkpoint, side=64, batch_size=1),
        images,
        offline.train_dataloader.dataset.pipeline[1].label_root,
        dataset.data_prefix['img_path'],
    ).run(show=False)
    found, runner = curve(offline, tmp_path / 'offline')
    expected, _ = curve(online, tmp_path / 'online')
    assert len(found) == 6 and found == expected
    assert runner.model.teacher is None


def test_demo_online_needs_no_mask(demo, tmp_path):
    load, (config, checkpoint) = demo
    cfg = load('kd')
    cfg.model.teacher = dict(cfg_path=config)
    cfg.model.teacher_ckpt = checkpoint
    losses, _ = curve(cfg, tmp_path / 'kd')
    assert len(losses) == 6 and losses[-1] < losses[0]
