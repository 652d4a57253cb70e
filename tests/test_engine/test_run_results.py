"""Results of finished runs."""

import json

import pytest
import torch
from mmengine.config import Config

from mmkd_sod.engine.run_results import is_finished, last_scores, newest_checkpoint
from mmkd_sod.errors import DataError


def test_newest_checkpoint_follows_a_moved_folder(tmp_path):
    assert newest_checkpoint(tmp_path) is None
    (tmp_path / 'last_checkpoint').write_text('/somewhere/else/epoch_3.pth')
    assert newest_checkpoint(tmp_path) is None
    torch.save({}, tmp_path / 'epoch_3.pth')
    assert newest_checkpoint(tmp_path) == tmp_path / 'epoch_3.pth'
    assert is_finished(tmp_path, Config(dict(train_cfg=dict(max_epochs=3))))
    assert not is_finished(tmp_path, Config(dict(train_cfg=dict(max_epochs=4))))


def test_last_scores(tmp_path):
    with pytest.raises(DataError, match='no validation record'):
        last_scores(tmp_path)
    for run, score in (('20200101', 0.1), ('20200102', 0.2)):
        folder = tmp_path / run / 'vis_data'
        folder.mkdir(parents=True)
        lines = [json.dumps(dict(loss=1.0, step=1)), json.dumps({'m': score, 'step': 1}), '{"cut']
        (folder / 'scalars.json').write_text('\n'.join(lines))
    assert last_scores(tmp_path)['m'] == 0.2
