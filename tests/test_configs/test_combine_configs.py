"""Each config of configs/combine takes a real training step on a little of its own kind of data."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from mmkd_sod.datasets.scenes import GroupSettings, make_groups
from mmkd_sod.engine.hooks import EpochScheduleHook
from tests.conftest import ROOT
from tests.sod_data import write_set
from tests.test_tools.test_mmseg_train import write_camvid

LEAVES = sorted((ROOT / 'configs' / 'combine').glob('*.py'))
NAMES = [path.stem for path in LEAVES]
# What each logs at its first step, beside the student's own.
TERMS = dict(
    scenes_crosskd_pkd={'loss_cls_kd', 'loss_reg_kd', 'pkd.loss_feat_kd', 'weight_pkd'},
    camvid_cskd_warmup_stop={'loss_cwd', 'loss_cam', 'loss_pam', 'weight_0', 'weight_1'},
    human_seg_two_teachers={
        f'{name}.loss_weak_{level}' for name in ('human', 'duts') for level in range(4)
    }
    | {'weight_duts'},
    human_seg_averaged_teachers={f'loss_weak_{level}' for level in range(4)},
    human_seg_scaled_teacher={f'loss_weak_{level}' for level in range(4)},
    human_seg_pnlad_weak_label={f'loss_weak_{level}' for level in range(4)}
    | {'loss_pos', 'loss_neg', 'teacher_entropy', 'tau_pos'},
    camvid_half_size_student={'loss_cwd', 'loss_cam', 'loss_pam'},
    groups_rgbd_teacher={f'loss_weak_{level}' for level in range(4)},
)


@pytest.fixture(autouse=True)
def _scope():
    yield
    DefaultScope._instance_dict.clear()


def test_each_has_its_test_and_is_short():
    assert set(NAMES) == set(TERMS)
    assert all(len(path.read_text().splitlines()) < 25 for path in LEAVES)


def data_of(name, tmp_path, scenes):
    """cfg-options that point a config to generated data."""
    kind = name.split('_')[0]
    if kind == 'scenes':
        root = f'{scenes}/'
    elif kind == 'camvid':
        root = str(tmp_path / 'camvid')
        write_camvid(tmp_path / 'camvid', size=(240, 180))
    elif kind == 'groups':
        root = str(tmp_path / 'groups' / 'train')
        make_groups(
            tmp_path / 'groups',
            GroupSettings(train=1, val=1, images=4, width=64, height=64),
            progress=False,
        )
    else:
        root = str(write_set(tmp_path / 'set', [(60, 60)] * 4))
        (tmp_path / 'set' / 'train.txt').write_text('0\n1\n2\n3\n')
    return root


@pytest.mark.parametrize('name', NAMES)
def test_a_training_step(name, tmp_path, scenes, monkeypatch):
    monkeypatch.chdir(ROOT)
    cfg = Config.fromfile(f'configs/combine/{name}.py')
    cfg.model.update(
        teacher_ckpt=None, teacher_allow_missing=['*'], teacher_fold_bn=False
    )  # what it tries on images takes long here
    cfg.merge_from_dict(
        {
            'train_dataloader.dataset.data_root': data_of(name, tmp_path, scenes),
            'train_dataloader.batch_size': 4,
            'work_dir': str(tmp_path / 'work'),
            'val_cfg': None,
            'val_dataloader': None,
            'val_evaluator': None,
            'test_cfg': None,
            'test_dataloader': None,
            'test_evaluator': None,
            'log_level': 'ERROR',
            'experiment_name': name,
        }
    )
    if cfg.model.architecture.cfg_path.startswith('configs/demo/human_seg'):
        cfg.model.architecture.setdefault('data_preprocessor', {}).update(sides=(64,))
    runner = Runner.from_cfg(cfg)
    model = runner.model
    model.init_weights()
    wrapper = runner.build_optim_wrapper(cfg.optim_wrapper)
    for hook in runner.hooks:
        if isinstance(hook, EpochScheduleHook):
            hook._set_epoch(runner, 0)
    for module in model.modules():
        if hasattr(module, 'set_iter'):
            module.set_iter(0)
    loader = runner.build_dataloader(cfg.train_dataloader)
    before = {key: value.clone() for key, value in model.student.named_parameters()}
    logged = model.train_step(next(iter(loader)), wrapper)
    terms = {key.removeprefix('distill.') for key in logged if key.startswith('distill.')}
    assert terms == TERMS[name]
    assert all(torch.isfinite(value) for value in logged.values())
    assert all(logged[f'distill.{key}'] > 0 for key in terms if 'weak' in key or 'cwd' in key)
    moved = [
        key
        for key, value in model.student.named_parameters()
        if not torch.equal(value, before[key])
    ]
    assert len(moved) > len(before) / 2
    assert not any(key.startswith(('teacher', 'architecture')) for key in model.state_dict())
