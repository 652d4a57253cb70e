"""Samples that cannot be prepared are named, in the main process and from workers."""

import traceback

import cv2
import numpy as np
import pytest
from mmengine.dataset import BaseDataset, pseudo_collate
from torch.utils.data import DataLoader

from mmkd_sod.cli.common import run_tool
from mmkd_sod.errors import DataError, TrainingError
from tests.shown import end_of


class Images(BaseDataset):
    """Three images of which the second raises something."""

    def __init__(self, pipeline, folder='images'):
        self.folder = folder
        super().__init__(serialize_data=False)
        self.pipeline = pipeline

    def load_data_list(self):
        return [dict(img_path=f'{self.folder}/{index}.png') for index in range(3)]


def fails_at(error):
    def prepare(results):
        if results['img_path'].endswith('1.png'):
            raise error
        return results

    return prepare


def decode(results):
    with open(results['img_path'], 'rb') as file:
        return cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_COLOR).shape


def read_all(pipeline, workers, folder='images') -> None:
    for _ in DataLoader(Images(pipeline, folder), num_workers=workers, collate_fn=pseudo_collate):
        pass


@pytest.fixture
def folder(tmp_path):
    """Three images."""
    for index in range(3):
        cv2.imwrite(str(tmp_path / f'{index}.png'), np.zeros((4, 4, 3), np.uint8))
    return tmp_path


@pytest.mark.parametrize('workers', [0, 1])
@pytest.mark.parametrize('kind', [ValueError, KeyError])
def test_an_error_keeps_its_type_and_traceback_and_names_the_sample(kind, workers):
    with pytest.raises(kind) as caught:
        read_all(fails_at(kind('buffer\nis empty')), workers)
    text = ''.join(traceback.format_exception(caught.value))
    assert 'raise error' in text and f'{kind.__name__}: ' in text
    note = "Hint: raised by sample 1 of Images, img_path='images/1.png'"
    assert note in (text if workers else end_of(caught.value))


def _cut(path):
    path.write_bytes(path.read_bytes()[:20])


@pytest.mark.parametrize('workers', [0, 1])
@pytest.mark.parametrize(
    ('spoil', 'fault'),
    [
        (lambda path: path.write_bytes(b''), 'is not an image that Pillow can read'),
        (_cut, "1.png' is"),
        (lambda path: path.unlink(), 'does not exist'),
        (lambda path: (path.unlink(), path.mkdir()), "1.png' is damaged"),
    ],
)
def test_an_unreadable_image_is_a_mistake_in_the_data(folder, capsys, spoil, fault, workers):
    spoil(folder / '1.png')
    with pytest.raises(DataError, match=fault):
        read_all(decode, workers, folder)
    with pytest.raises(SystemExit, match='2'):
        run_tool(lambda: read_all(decode, workers, folder), 'tool')
    error = capsys.readouterr().err
    line = error.strip().split('\n')[-1]
    assert line.startswith(f"tool: error: image '{folder}/1.png'") and fault in line
    assert 'Traceback' not in error


def test_a_readable_image_is_not_blamed(folder):
    with pytest.raises(TypeError) as caught:
        read_all(fails_at(TypeError('of a transform')), 0, folder)
    assert '1.png' in end_of(caught.value)


@pytest.mark.parametrize('kind', [DataError, TrainingError])
def test_sentences_of_our_own_arrive_as_they_are(kind, capsys):
    with pytest.raises(SystemExit, match='2'):
        run_tool(lambda: read_all(fails_at(kind("mask 'm.png' is wrong: make it right")), 1), 'a')
    assert capsys.readouterr().err == "a: error: mask 'm.png' is wrong: make it right\n"


def test_a_record_that_cannot_be_read_raises_its_own_error():
    with pytest.raises(IndexError):
        Images(None).prepare_data(7)
