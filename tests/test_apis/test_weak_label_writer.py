"""Writing weak labels: several processes, resuming, and the report."""

import json

import numpy as np
import pytest

from mmkd_sod.apis.weak_label_writer import WeakLabelWriter, label_statistics
from mmkd_sod.datasets import UnlabelledImageDataset
from mmkd_sod.errors import ConfigError, DataError
from mmkd_sod.models.saliency_inferencer import SaliencyInferencer
from mmkd_sod.utils.weak_labels import read_label
from tests.saliency import save_network
from tests.sod_data import write_set


@pytest.fixture
def setup(tmp_path):
    root = write_set(tmp_path / 'set', shapes=[(20 + i, 30) for i in range(5)])
    dataset = UnlabelledImageDataset(data_root=str(root), data_prefix=dict(img_path='image'))
    images = [dataset.get_data_info(i) for i in range(len(dataset))]
    inferencer = SaliencyInferencer(*save_network(tmp_path), side=32, batch_size=2)

    def writer(**kwargs):
        return WeakLabelWriter(inferencer, images, tmp_path / 'out', root / 'image', **kwargs)

    return writer, tmp_path / 'out', root


@pytest.mark.parametrize('bits', [8, 16])
def test_labels_are_the_teachers_maps(setup, bits):
    writer, out, root = setup
    report = writer(bits=bits).run(show=False)
    assert report['images'] == report['kept'] == 5 and not report['unreadable']
    from mmkd_sod.utils.images import read_image

    (expected,) = writer().inferencer([read_image(root / 'image/3.png')])
    np.testing.assert_allclose(read_label(out / 'set/3.png'), expected, atol=0.51 / (2**bits - 1))
    manifest = json.loads((out / 'labels.json').read_text())
    assert manifest['bits'] == bits and manifest['side'] == 32
    assert json.loads((out / 'report.json').read_text()) == report


def test_resumes_without_writing_again(setup):
    writer, out, _ = setup
    writer().run(show=False)
    stamps = {p: p.stat().st_mtime_ns for p in (out / 'set').iterdir()}
    (out / 'set/2.png').unlink()
    (out / 'stats.0of1.jsonl').write_text('{"image": "set/0", "confid')  # truncated
    report = writer().run(show=False)
    assert report['kept'] == 5
    changed = [p.name for p in stamps if p.stat().st_mtime_ns != stamps[p]]
    assert changed == ['2.png']


def test_processes_share_the_images(setup):
    writer, out, _ = setup
    assert writer(rank=1, world=2).run(show=False) is None
    assert sorted(p.name for p in (out / 'set').iterdir()) == ['1.png', '3.png']
    assert not (out / 'report.json').exists()
    assert writer(rank=0, world=2).run(show=False)['kept'] == 5


def test_filter_and_unreadable_images(setup):
    writer, out, root = setup
    (root / 'image/4.png').write_bytes(b'broken')
    report = writer().run(show=False)
    assert len(report['unreadable']) == 1 and '4.png' in report['unreadable'][0]
    assert (out / 'kept.txt').read_text().split() == [f'{i}.png' for i in range(4)]
    confidences = sorted(
        label_statistics(read_label(out / f'set/{i}.png'))['confidence'] for i in range(4)
    )
    bound = (confidences[1] + confidences[2]) / 2
    report = writer(min_confidence=bound).run(show=False)
    assert report['kept'] == 2 and len(report['dropped']) == 2
    assert sum(report['confidence_histogram'].values()) == 4
    dataset = UnlabelledImageDataset(
        data_root=str(root), data_prefix=dict(img_path='image'), ann_file=str(out / 'kept.txt')
    )
    assert len(dataset) == 2


def test_refuses_other_labels_in_the_folder(setup, tmp_path):
    writer, out, root = setup
    writer().run(show=False)
    with pytest.raises(DataError, match='stale: bits is 16; expected 8'):
        writer(bits=8).run(show=False)
    other = SaliencyInferencer(*save_network(tmp_path, 'other', seed=1), side=32)
    with pytest.raises(DataError, match='stale: teacher is'):
        WeakLabelWriter(other, [], out, root).run(show=False)


@pytest.mark.parametrize('kwargs', [dict(bits=12), dict(min_confidence=1.5), dict(rank=2, world=2)])
def test_refuses_arguments(setup, kwargs):
    with pytest.raises(ConfigError, match='bits must be 8 or 16'):
        setup[0](**kwargs)


def test_statistics_by_hand():
    found = label_statistics(np.array([[0.0, 1.0], [0.5, 0.75]], np.float32))
    assert found == dict(confidence=pytest.approx(0.625), salient=pytest.approx(0.5625))


def test_labels_are_not_written_through_links(setup, tmp_path):
    writer, out, root = setup
    elsewhere = tmp_path / 'elsewhere'
    elsewhere.mkdir()
    out.mkdir()
    (out / root.name).symlink_to(elsewhere)
    with pytest.raises(DataError, match='is a symbolic link'):
        writer().run(show=False)
    assert not list(elsewhere.iterdir())
