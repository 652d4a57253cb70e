"""HKDNet's configs: every one builds, and the demo trains, distils and tests on tiny groups."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from mmkd_sod.datasets.scenes import GroupSettings, make_groups
from mmkd_sod.models.builder import build_model
from mmkd_sod.registry import MODELS

DEMO = 'configs/demo/groups_hkdnet_{}.py'


@pytest.fixture(autouse=True)
def _scope():
    yield
    DefaultScope._instance_dict.clear()


def model_of(path):
    cfg = Config.fromfile(path)
    return MODELS.build(dict(cfg.model, _scope_='mmseg')), cfg


@pytest.mark.parametrize('name, millions', [('hkdnet_s', 30.44), ('hkdnet_t', 86.56)])
def test_networks(root, name, millions):
    with torch.device('meta'):
        model, cfg = model_of(root / f'configs/hkdnet/{name}.py')
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.005)
    loader = cfg.train_dataloader
    assert loader.batch_size == 8 and loader.batch_sampler.type == 'mmkd_sod.GroupBatchSampler'
    assert cfg.optim_wrapper.optimizer == dict(type='Adam', lr=3e-5) and cfg.randomness.seed == 7


@pytest.mark.parametrize(
    'name, parts',
    [
        ('hkdnet/hkdnet_s_hkd', {'loss_pnlad', 'loss_fpd', 'loss_dssd', 'loss_dssd_decoder'}),
        ('hkdnet/hkdnet_s_pnlad', {'loss_pnlad'}),
        ('demo/groups_hkdnet_hkd', {'loss_pnlad', 'loss_fpd', 'loss_dssd', 'loss_dssd_decoder'}),
        ('demo/groups_hkdnet_pnlad', {'loss_pnlad'}),
        ('hkdnet/scfnet_mobilenetv3_pnlad', {'loss_pnlad'}),
        ('demo/human_seg_scfnet_pnlad', {'loss_pnlad'}),
    ],
)
def test_distillations(root, name, parts):
    cfg = Config.fromfile(root / f'configs/{name}.py')
    distiller = MODELS.build(cfg.model.distiller)
    with torch.device('meta'):
        pair = [build_model(dict(cfg.model[key]), key) for key in ('architecture', 'teacher')]
    distiller.prepare(*pair)
    assert set(distiller.losses) == parts
    assert distiller.label_weight + distiller.losses['loss_pnlad'].pos_weight == 1
    # What a step would refuse: maps and features of both that do not pair up.
    heads = [model.decode_head for model in pair]
    assert len(distiller.losses['loss_pnlad'].level_weights) == len(heads[0].level_weights)
    if 'loss_fpd' in parts:
        assert heads[0].in_channels == heads[1].in_channels
    assert [hook.type for hook in cfg.custom_hooks] == ['mmkd_sod.EpochScheduleHook']


def test_demo_temperature_is_the_released_one_in_fewer_epochs(root):
    for name in ('groups_hkdnet_hkd', 'human_seg_scfnet_pnlad'):
        cfg = Config.fromfile(root / f'configs/demo/{name}.py')
        schedule, scale = cfg.model.distiller.schedule, 100 / cfg.train_cfg.max_epochs
        assert [end * scale for end in schedule.stage_ends] == [30, 60]
        assert schedule.tau_step == 3 * scale


@pytest.mark.slow
def test_the_demo_from_teacher_to_maps(root, tmp_path):
    data = tmp_path / 'groups'
    make_groups(data, GroupSettings(train=3, val=2, images=2, width=64, height=64), progress=False)
    teacher = build_model(dict(cfg_path=str(root / DEMO.format('teacher'))), 'teacher')
    torch.save(dict(state_dict=teacher.state_dict()), tmp_path / 'teacher.pth')
    cfg = Config.fromfile(root / DEMO.format('hkd'))
    cfg.merge_from_dict(
        {
            'work_dir': str(tmp_path / 'work'),
            'model.teacher_ckpt': str(tmp_path / 'teacher.pth'),
            'train_dataloader.dataset.data_root': str(data / 'train'),
            'val_dataloader.dataset.data_root': str(data / 'val'),
            'test_dataloader.dataset.data_root': str(data / 'val'),
            'train_cfg.max_epochs': 2,
            'train_cfg.val_interval': 2,
            'default_hooks.checkpoint.interval': 1,
            'default_hooks.logger.interval': 1,
            'test_evaluator.out_dir': str(tmp_path / 'maps'),
        }
    )
    Runner.from_cfg(cfg).train()
    log = next((tmp_path / 'work').rglob('*.log')).read_text()
    for name in ('loss_pos', 'loss_neg', 'loss_fpd', 'loss_dssd', 'loss_label', 'teacher_entropy'):
        assert f'distill.{name}:' in log
    assert 'sod/Smeasure' in log
    cfg.resume, cfg.train_cfg.max_epochs = True, 3
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert runner.model.distiller.stage.tau_feat == 34 - 2 * 7.5
    runner.test()
    maps = sorted(
        str(path.relative_to(tmp_path / 'maps')) for path in (tmp_path / 'maps').rglob('*.png')
    )
    assert maps == [
        f'val/{group}/{image:04d}.png'
        for group in ('000_triangle', '001_star')
        for image in range(2)
    ]
