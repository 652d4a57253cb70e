"""Annotation files in any format are read as data."""

import io
import json
import os
import pickle

import mmengine
import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData

from mmkd_sod.errors import DataError

MARK = 'MMKD_SOD_TEST_RAN'
CODE = f"import os; os.environ['{MARK}'] = '1'"


class Evil:
    """Runs code when it is unpickled freely."""

    def __reduce__(self):
        return exec, (CODE,)


@pytest.fixture(autouse=True)
def unharmed(monkeypatch):
    monkeypatch.delenv(MARK, raising=False)
    yield
    assert MARK not in os.environ


@pytest.mark.parametrize('suffix', ['pkl', 'pickle'])
@pytest.mark.parametrize('protocol', [0, 2, 4])
def test_pickles_run_nothing(tmp_path, suffix, protocol):
    path = tmp_path / f'a.{suffix}'
    path.write_bytes(pickle.dumps([1, Evil()], protocol))
    with pytest.raises(DataError, match=rf"a\.{suffix}' is not a pickle of plain data"):
        mmengine.load(str(path))
    with path.open('rb') as file, pytest.raises(DataError, match='^annotation file is not'):
        mmengine.load(file, file_format=suffix)


@pytest.mark.parametrize(
    'text',
    [
        f'!!python/object/apply:exec ["{CODE}"]',
        f'!!python/object/new:exec ["{CODE}"]',
        'a: !!python/name:os.system',
        'a: !!python/module:os',
    ],
)
@pytest.mark.parametrize('suffix', ['yml', 'yaml'])
def test_yaml_runs_nothing(tmp_path, text, suffix):
    path = tmp_path / f'a.{suffix}'
    path.write_text(text)
    with pytest.raises(DataError, match=rf"a\.{suffix}' is not plain YAML"):
        mmengine.load(path)


@pytest.mark.parametrize('content', [b'', b'\x80', b'junk', b'\x80\x04.', pickle.dumps({})[:-1]])
def test_damaged_pickles_are_one_sentence(content):
    with pytest.raises(DataError, match='is not a pickle'):
        mmengine.load(io.BytesIO(content), file_format='pkl')


def test_what_mmdet_dumps_is_read(tmp_path):
    proposals = InstanceData(bboxes=np.ones((2, 4), np.float32), scores=np.zeros(2))
    results = [dict(img_id=3, boxes=torch.arange(8.0).view(2, 4)[:, 1:], names={'a'}, ratio=(1, 2))]
    for suffix, content in (('pkl', {'a/b.jpg': proposals}), ('pickle', results)):
        mmengine.dump(content, str(tmp_path / f'a.{suffix}'))
    found = mmengine.load(str(tmp_path / 'a.pkl'))['a/b.jpg']
    assert isinstance(found, InstanceData) and len(found) == 2 and found.bboxes.sum() == 8
    (found,) = mmengine.load(str(tmp_path / 'a.pickle'))
    assert found['boxes'].equal(results[0]['boxes'])
    assert found['names'] == {'a'} and found['ratio'] == (1, 2) and found['img_id'] == 3


def test_plain_yaml_and_json_are_read_as_before(tmp_path):
    content = dict(a=[1, 2.5, None, True, 'x'], b=(1, 2))
    for suffix in ('yaml', 'yml'):
        mmengine.dump(content, str(tmp_path / f'a.{suffix}'))
        assert mmengine.load(str(tmp_path / f'a.{suffix}')) == content
    mmengine.dump(content, str(tmp_path / 'a.json'))
    assert mmengine.load(str(tmp_path / 'a.json')) == dict(content, b=[1, 2])


@pytest.mark.parametrize('suffix, text', [('json', '[' * 100_000), ('yaml', '[' * 5000)])
def test_deep_nesting_is_one_sentence(tmp_path, suffix, text):
    path = tmp_path / f'a.{suffix}'
    path.write_text(text)
    with pytest.raises(DataError, match=rf"a\.{suffix}' is"):
        mmengine.load(path)


def test_data_sets_and_metrics_read_through_it(tmp_path):
    from mmdet.datasets import CocoDataset
    from mmengine.dataset import BaseDataset
    from mmseg.models.losses.utils import get_class_weight

    path = tmp_path / 'a.pkl'
    path.write_bytes(pickle.dumps(Evil()))
    images = dict(images=[], annotations=[], categories=[])
    (tmp_path / 'a.json').write_text(json.dumps(images))
    for read in (
        lambda: BaseDataset(ann_file=str(path)),
        lambda: CocoDataset(ann_file=str(tmp_path / 'a.json'), proposal_file=str(path)),
        lambda: get_class_weight(str(path)),
    ):
        with pytest.raises(DataError, match=r"a\.pkl' is not a pickle"):
            read()
