"""Pictures of predictions, and notes on missing ones."""

import base64

import cv2
import numpy as np
import torch

from mmkd_sod.report.predictions import data_url, gallery
from mmkd_sod.report.runs import find_runs
from mmkd_sod.report.studies import group, join_tests
from tests.saliency import save_network, scfnet_config
from tests.work_dirs import work_dir


def decode(url):
    kind, _, text = url.partition(',')
    assert kind == 'data:image/jpeg;base64'
    return cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), cv2.IMREAD_COLOR)


def saliency_study(tmp_path):
    """Return the study of a plain SCFNet with its checkpoint and test set."""
    _, checkpoint = save_network(tmp_path / 'net')
    cfg = scfnet_config(tmp_path)
    folder = work_dir(
        tmp_path / 'run', cfg.model, default_scope='mmseg', test_dataloader=cfg.test_dataloader
    )
    torch.save(torch.load(checkpoint, weights_only=True), folder / 'epoch_12.pth')
    (folder / 'last_checkpoint').write_text('epoch_12.pth')
    return group(join_tests(find_runs([str(folder)]))[0])[0], folder


def test_pictures_of_a_saliency_network(tmp_path):
    (tmp_path / 'net').mkdir()
    study, folder = saliency_study(tmp_path)
    found = gallery(study, 2, device='cpu')
    assert found.kind == 'saliency' and found.seed == 0 and not found.notes
    assert list(found.columns) == ['Truth', 'Plain'] and len(found.names) == 2
    assert max(decode(found.columns['Plain'][0]).shape) == 480

    (folder / 'epoch_12.pth').unlink()
    found = gallery(study, 2, device='cpu')
    assert not found.columns and 'there is no checkpoint' in found.notes[0]
    (tmp_path / 'set' / 'image').rename(tmp_path / 'elsewhere')
    assert 'No pictures' in gallery(study, 2).notes[0]
    assert gallery(study, 0).notes == []


def test_a_config_that_may_run_code_is_not_built_unless_trusted(tmp_path):
    (tmp_path / 'net').mkdir()
    study, _ = saliency_study(tmp_path)
    (run,) = study.runs
    run.cfg.test_dataloader.dataset.name = 'set'
    run.cfg.test_dataloader.dataset.type = 'mmkd_sod.datasets.sod_dataset.SODDataset'
    found = gallery(study, 1, device='cpu')
    assert not found.columns
    assert 'test_dataloader.dataset.type' in found.notes[0]
    assert '--trust-configs' in found.notes[0]
    assert gallery(study, 1, device='cpu', trust_configs=True).columns


def test_large_pictures_are_reduced():
    assert decode(data_url(np.zeros((900, 1800, 3), np.uint8))).shape == (360, 720, 3)
