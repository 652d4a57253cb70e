"""Reading named images from files, folders, patterns and videos."""

import cv2
import numpy as np
import pytest

from mmkd_sod.apis.saliency_sources import find_sources, read_sources
from mmkd_sod.errors import DataError
from tests.sod_data import write_set


def names(sources):
    return [source.name for source in sources]


def write_video(path, frames=5):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 5, (48, 32))
    if not writer.isOpened():
        pytest.skip('this OpenCV writes no video')
    for i in range(frames):
        writer.write(np.full((32, 48, 3), 40 * i, np.uint8))
    writer.release()
    return path


def read(sources, skip=lambda name: False):
    errors = []
    found = list(read_sources(sources, skip, lambda source, error: errors.append(str(error))))
    return found, errors


def test_folders_patterns_and_files(tmp_path):
    root = write_set(tmp_path)
    (root / 'notes.txt').write_text('x')
    assert names(find_sources([str(root / 'image')])) == ['0', '1', '2']
    assert names(find_sources([str(root)])) == [
        f'{d}/{i}' for d in ('image', 'mask') for i in range(3)
    ]
    assert names(find_sources([str(root / 'image/*.png')])) == ['0', '1', '2']
    assert names(find_sources([str(root / '**/1.png')])) == ['1.png', '1.png_2']
    one = str(root / 'image/1.png')
    assert names(find_sources([one, one])) == ['1']
    with pytest.raises(DataError, match="'.*notes.txt/x' matches no image"):
        find_sources([str(root / 'notes.txt/x')])


def test_equal_names_keep_their_suffix(tmp_path):
    for name in ('a.png', 'a.jpg', 'b.png'):
        cv2.imwrite(str(tmp_path / name), np.zeros((4, 4, 3), np.uint8))
    assert names(find_sources([str(tmp_path)])) == ['a.jpg', 'a.png', 'b']


def test_corrupt_files_are_reported_and_the_rest_is_read(tmp_path):
    root = write_set(tmp_path)
    (root / 'image/1.png').write_bytes(b'broken')
    (root / 'image/clip.mp4').write_bytes(b'broken')
    found, errors = read(find_sources([str(root / 'image')]))
    assert [name for name, _ in found] == ['0', '2']
    assert '1.png' in errors[0] and "clip.mp4' cannot be read by this OpenCV" in errors[1]


def test_video_frames(tmp_path):
    sources = find_sources([str(write_video(tmp_path / 'clip.avi'))])
    assert sources[0].is_video and sources[0].frames == 5
    found, errors = read(sources, skip=lambda name: name.endswith('2'))
    assert not errors
    assert [name for name, _ in found] == [f'clip/{i:06d}' for i in (0, 1, 3, 4)]
    assert found[3][1].shape == (32, 48, 3) and abs(int(found[3][1].mean()) - 160) < 8


def test_skipped_images_are_not_read(tmp_path):
    root = write_set(tmp_path)
    (root / 'image/1.png').write_bytes(b'broken')
    found, errors = read(find_sources([str(root / 'image')]), skip=lambda name: name == '1')
    assert len(found) == 2 and not errors


def test_files_of_other_programs_are_not_found(tmp_path, monkeypatch):
    for name in ('a.JPG', 'b/c.Png', 'Thumbs.db', '._a.jpg', '__MACOSX/._a.jpg', '.x/a.jpg'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b'')
    assert names(find_sources([str(tmp_path)])) == ['a', 'b/c']
    assert names(find_sources([f'{tmp_path}/**'])) == ['a', 'c']
    assert names(find_sources([f'{tmp_path}/.x/*'])) == ['a']
    monkeypatch.chdir(tmp_path)
    assert names(find_sources(['*'])) == ['a']
