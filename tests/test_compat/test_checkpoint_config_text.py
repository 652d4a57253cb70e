"""The config text of a resumed checkpoint is not executed."""

import os

import pytest
import torch
from mmengine.runner.checkpoint import CheckpointLoader

from mmkd_sod.errors import CheckpointError
from tests.methods import runner

MARK = 'MMKD_SOD_TEST_RAN'


def test_resuming_executes_no_config_text(tmp_path, monkeypatch):
    monkeypatch.delenv(MARK, raising=False)
    runner('crosskd', tmp_path, steps=2).train()
    path = tmp_path / 'epoch_1.pth'
    checkpoint = torch.load(path, weights_only=True)
    code = f"import os\nos.environ['{MARK}'] = '1'\ngpu_ids = range(3)\n"
    checkpoint['meta'].update(config=code, cfg=code)
    torch.save(checkpoint, path)
    run = runner('crosskd', tmp_path, steps=4, resume=True)
    run.train()
    assert run.epoch == 2 and MARK not in os.environ


def test_the_rest_of_a_checkpoint_is_kept(tmp_path):
    path = tmp_path / 'a.pth'
    torch.save(dict(meta=dict(config='1/0', epoch=3), state_dict={}), path)
    assert CheckpointLoader.load_checkpoint(str(path)) == dict(meta=dict(epoch=3), state_dict={})
    torch.save(dict(meta='text', state_dict={}), path)
    assert CheckpointLoader.load_checkpoint(str(path))['meta'] == 'text'


@pytest.mark.parametrize('place', ['meta', 'message_hub'])
def test_an_inferencer_executes_no_config_text(tmp_path, monkeypatch, place):
    from mmdet.apis import DetInferencer

    monkeypatch.delenv(MARK, raising=False)
    code = f"import os\nos.environ['{MARK}'] = '1'\n"
    path = tmp_path / 'a.pth'
    content = dict(meta=dict(cfg=code))
    if place == 'message_hub':
        content = dict(message_hub=dict(runtime_info=dict(cfg=code, epoch=1)))
    torch.save(content, path)
    with pytest.raises(CheckpointError, match=r"a\.pth' are given without a model"):
        DetInferencer(weights=str(path), device='cpu')
    assert MARK not in os.environ
    # mmrazor executes the text in the message hub of a resumed run.
    assert code not in str(CheckpointLoader.load_checkpoint(str(path)))
