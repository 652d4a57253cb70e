"""How the masks of a folder are read is decided once, stated, and kept."""

import logging

import numpy as np
import pytest
from mmengine.logging import MMLogger
from PIL import Image, ImageFilter

from mmkd_sod.datasets import RGBDCoSODDataset, SODDataset
from mmkd_sod.datasets.transforms import LoadSODMask
from mmkd_sod.errors import ConfigError, DataError

SHAPE = (40, 60)


def areas(*values, ground=0):
    """Return a mask with a rectangle of each value."""
    mask = np.full(SHAPE, ground, np.uint8)
    for i, value in enumerate(values):
        mask[8:30, 4 + 14 * i : 16 + 14 * i] = value
    return mask


def bordered(value, border):
    mask = areas(value)
    mask[8:10, 4:16] = border
    return mask


SOFT = np.asarray(Image.fromarray(areas(255)).filter(ImageFilter.GaussianBlur(1)))


def write(root, masks, image='image', mask='mask'):
    for name, array in zip('abcdefgh', masks, strict=False):
        for folder, content in ((image, np.zeros((*SHAPE, 3), np.uint8)), (mask, array)):
            (root / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(content).save(root / folder / f'{name}.png')
    return root


def labels(dataset):
    return [
        LoadSODMask()(dict(dataset.get_data_info(i), ori_shape=SHAPE))['gt_seg_map']
        for i in range(len(dataset))
    ]


@pytest.mark.parametrize(
    'masks, kind',
    [
        ([areas(255), areas(255, 255)], 'levels'),
        ([areas(255), SOFT, areas()], 'levels'),
        ([areas(1), areas(1, 2)], 'index'),
        ([areas(1), bordered(1, 255), areas(3)], 'index'),
        ([areas(1), areas(255)], 'nonzero'),
        ([areas(), areas()], 'levels'),
    ],
)
def test_decisions(tmp_path, masks, kind):
    dataset = SODDataset(data_root=str(write(tmp_path, masks)))
    assert {info['mask_rule'].kind for info in dataset} == {kind}
    for found, mask in zip(labels(dataset), masks, strict=True):
        assert ((found == 1) == ((mask > 0) & (mask != (mask == SOFT) * mask))).mean() > 0.85
        assert set(np.unique(found)) <= {0, 1, 255}


def test_other_masks_of_the_folder_decide(tmp_path):
    # Alone, a small object of class 1 in a large area of 255 may be noise around an object of 255.
    unclear = areas(255, 255, 255)
    unclear[20:24, 50:56] = 1
    with pytest.raises(DataError, match=r"a\.png' \(PNG L, values 0, 1, 255\): what is salient is"):
        SODDataset(data_root=str(write(tmp_path / 'alone', [unclear])))
    dataset = SODDataset(data_root=str(write(tmp_path / 'index', [unclear, bordered(1, 255)])))
    assert [np.unique(found).tolist() for found in labels(dataset)] == [[0, 1, 255]] * 2
    dataset = SODDataset(data_root=str(write(tmp_path / 'soft', [unclear, SOFT])))
    assert labels(dataset)[0].tolist() == (unclear == 255).astype(int).tolist()


def test_masks_that_contradict_each_other_are_both_named(tmp_path):
    root = write(tmp_path, [areas(1), areas(255), SOFT])
    with pytest.raises(DataError, match=r"masks '.*[ab]\.png' .* and '.*c\.png' .* in one way"):
        SODDataset(data_root=str(root))


def test_a_mask_read_later_is_refused_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr('mmkd_sod.datasets.mask_rule.SAMPLE', 2)
    root = write(tmp_path, [areas(255), areas(1), SOFT])
    dataset = SODDataset(data_root=str(root))
    with pytest.raises(DataError, match=r"b\.png' \(PNG L, values 0, 1\) does not fit the other"):
        labels(dataset)


def test_unlabelled_pixels_only(tmp_path):
    root = str(write(tmp_path, [bordered(1, 255), areas(255)]))
    with pytest.raises(
        DataError, match=r"a\.png' .* and '.*b\.png' .*0, 255\) cannot be read in one"
    ):
        SODDataset(data_root=root)
    stated = labels(SODDataset(data_root=root, mask_values='index'))
    assert [np.unique(found).tolist() for found in stated] == [[0, 1, 255], [0, 255]]


def test_a_setting_is_kept_and_checked(tmp_path):
    root = str(write(tmp_path, [areas(85, 255), areas(170), areas(255)]))
    with pytest.raises(DataError, match='what is salient is not clear; set mask_values'):
        SODDataset(data_root=root)
    counts = {
        setting: [
            int((found == 1).sum()) for found in labels(SODDataset(root, mask_values=setting))
        ]
        for setting in ('levels', 'nonzero')
    }
    assert counts == dict(levels=[264, 264, 264], nonzero=[528, 264, 264])
    with pytest.raises(ConfigError, match="mask_values='white' is not known"):
        SODDataset(root, mask_values='white')
    with pytest.raises(
        DataError, match=r"a\.png' .*values 0, 1\) does not fit mask_values='levels'"
    ):
        SODDataset(str(write(tmp_path / 'one', [areas(1)])), mask_values='levels')


def test_the_decision_is_logged(tmp_path, caplog):
    logger = MMLogger.get_instance('mask_rule')
    messages = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append((record.levelname, record.getMessage()))
    logger.addHandler(handler)
    SODDataset(data_root=str(write(tmp_path / 'set', [areas(1), areas(1)])))
    SODDataset(data_root=str(write(tmp_path / 'full', [areas(0, ground=255)])))
    SODDataset(data_root=str(write(tmp_path / 'none', [areas()])))
    stated = [text for level, text in messages if level == 'INFO']
    warned = [text for level, text in messages if level == 'WARNING']
    assert stated[0].startswith('set: masks are read as numbers of classes or objects')
    assert "decided by 2 of 2, such as '" in stated[0] and '11.0% of the pixels' in stated[0]
    assert 'full: 89% of the area of the masks is salient' in warned[0]
    assert 'none: 100% of the area of the masks is not salient' in warned[1]


def test_groups_decide_over_all_groups(tmp_path):
    for group, mask in (('x', areas(1)), ('y', bordered(1, 255))):
        root = write(tmp_path, [mask], f'image/{group}', f'mask/{group}')
        (root / 'depth' / group).mkdir(parents=True)
        depth = np.tile(np.linspace(0, 255, SHAPE[1]).astype(np.uint8), (SHAPE[0], 1))
        Image.fromarray(depth).save(root / 'depth' / group / 'a.png')
    dataset = RGBDCoSODDataset(data_root=str(tmp_path))
    assert {info['mask_rule'].kind for info in dataset} == {'index'}
    assert [np.unique(found).tolist() for found in labels(dataset)] == [[0, 1], [0, 1, 255]]
