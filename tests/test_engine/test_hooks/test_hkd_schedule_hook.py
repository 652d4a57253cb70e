"""HKDScheduleHook: a run follows the stages, and a resumed run goes on where it was."""
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from torch.utils.data import Dataset

from mmkd_sod.engine.hooks import HKDScheduleHook
from mmkd_sod.errors import ConfigError
from mmkd_sod.registry import MODELS
from tests.rgbd import batch, hkdnet


class Samples(Dataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        data = batch(1, 32, 32)
        return dict(inputs={key: value[0] for key, value in data['inputs'].items()},
                    data_samples=data['data_samples'][0])


SCHEDULE = dict(stage_ends=(0, 1), tau_start=5, tau_step=2)


def runner(work_dir, epochs, wrapped=False, **kwargs):
    distiller = dict(type='mmkd_sod.HKDDistiller', schedule=SCHEDULE, target_entropy=.5,
                     loss_pnlad=dict(type='mmkd_sod.PNLADLoss', level_weights=(4, 1, 1, 1)))
    if wrapped:
        distiller = dict(type='mmkd_sod.CompositeDistiller', distillers=[distiller])
    model = MODELS.build(dict(type='mmkd_sod.DenseDistill', architecture=MODELS.build(hkdnet()),
                              teacher=MODELS.build(hkdnet()), distiller=distiller))
    return Runner(
        model=model, work_dir=str(work_dir), experiment_name=f'e{epochs}{torch.rand(1).item()}',
        train_dataloader=dict(dataset=Samples(), sampler=dict(type='DefaultSampler', shuffle=False),
                              batch_size=1, num_workers=0, collate_fn=pseudo_collate),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=1e-3)),
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=1)),
        log_level='ERROR', default_scope='mmkd_sod',
        **{**dict(train_cfg=dict(by_epoch=True, max_epochs=epochs),
                  custom_hooks=[dict(type='mmkd_sod.HKDScheduleHook')]), **kwargs})


@pytest.fixture
def told(monkeypatch):
    epochs, tell = [], HKDScheduleHook._tell

    def remember(self, epoch):
        epochs.append(epoch)
        tell(self, epoch)

    monkeypatch.setattr(HKDScheduleHook, '_tell', remember)
    yield epochs
    DefaultScope._instance_dict.clear()


def test_stages_go_on_after_a_resume(tmp_path, told):
    first = runner(tmp_path, 2)
    first.train()
    assert told == [0, 1] and first.model.distiller.stage.index == 1
    second = runner(tmp_path, 3, resume=True)
    log_tau = first.model.distiller.log_tau
    second.load_or_resume()
    torch.testing.assert_close(second.model.distiller.log_tau, log_tau)
    second.train()
    assert told == [0, 1, 2]
    stage = second.model.distiller.stage
    assert (stage.index, stage.tau_pos, stage.tau_neg) == (2, 1, None)


def test_epochs_are_counted_from_steps_and_found_in_a_composite(tmp_path, told):
    hooks = [dict(type='mmkd_sod.HKDScheduleHook', iters_per_epoch=2)]
    run = runner(tmp_path, 0, wrapped=True, custom_hooks=hooks,
                 train_cfg=dict(by_epoch=False, max_iters=5))
    run.train()
    assert told == [0, 0, 1, 1, 2]


def test_refusals(tmp_path, told):
    with pytest.raises(ConfigError, match='iters_per_epoch=0'):
        HKDScheduleHook(0)
    with pytest.raises(ConfigError, match='counts no epochs'):
        runner(tmp_path, 0, train_cfg=dict(by_epoch=False, max_iters=2)).train()
    run = runner(tmp_path, 1)
    run.model.distiller = torch.nn.Identity()
    with pytest.raises(ConfigError, match='has no HKDDistiller'):
        run.train()
