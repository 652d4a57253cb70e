"""A student that FSDP shards, in one process on the CPU."""

import os
import sys

import pytest
import torch
from mmengine.runner import FlexibleRunner

from tests.methods import METHODS, build, loader
from tests.ranks import in_ranks

METHOD = 'cskd_learned'  # mmdet's heads have scalar parameters, which FSDP refuses


@pytest.mark.skipif(sys.platform == 'win32', reason='forks')
def test_trains_and_saves(tmp_path):
    def work(rank, world):
        os.environ['LOCAL_RANK'] = '0'
        model = build(METHOD)
        runner = FlexibleRunner(
            model=model,
            strategy=dict(
                type='FSDPStrategy',
                state_dict_cfg='full',
                model_wrapper=dict(
                    type='MMFullyShardedDataParallel',
                    use_orig_params=True,
                    device_id=torch.device('cpu'),
                ),
            ),
            work_dir=str(tmp_path / 'run'),
            train_dataloader=loader(METHOD),
            train_cfg=dict(by_epoch=True, max_epochs=1),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=1e-3)),
            default_scope=METHODS[METHOD][0],
            default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=1)),
            log_level='ERROR',
        )
        runner.train()
        assert model.teacher is not None and not any(
            'teacher.' in name for name, _ in runner.model.named_parameters()
        )
        return {
            name.removeprefix('architecture.'): value
            for name, value in runner.model.state_dict().items()
        }

    (trained,) = in_ranks(1, work, tmp_path / 'ranks')
    saved = torch.load(tmp_path / 'run' / 'epoch_1.pth', weights_only=False)['state_dict']
    model = build(METHOD)
    start = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(saved)
    found = model.state_dict()
    assert found.keys() == trained.keys()
    assert all(torch.equal(found[name], trained[name]) for name in found)
    assert any(not torch.equal(found[name], start[name]) for name in found)
