"""Bits and range of the depth maps of a folder are found once."""

import numpy as np
import pytest
from PIL import Image

from mmkd_sod.datasets import RGBDCoSODDataset
from mmkd_sod.datasets.depth_rule import decide_depth
from mmkd_sod.datasets.transforms import LoadDepth
from mmkd_sod.errors import ConfigError, DataError

RAMP = np.linspace(0, 1, 40 * 60).reshape(40, 60)


def write(folder, *maps):
    paths = []
    for i, array in enumerate(maps):
        path = folder / f'{i}.{"tif" if array.dtype == np.float32 else "png"}'
        Image.fromarray(array).save(path)
        paths.append(str(path))
    return paths


def ramp(top, dtype=np.uint16):
    return (RAMP * top).astype(dtype)


@pytest.mark.parametrize(
    'top, dtype, scale',
    [
        (255, np.uint8, 255),
        (90, np.uint8, 255),
        (255, np.uint16, 255),
        (4000, np.uint16, 4095),
        (8200, np.uint16, 10000),
        (65535, np.uint16, 65535),
        (30000, np.uint16, 65535),
        (1, np.float32, 1),
        (7.5, np.float32, 10),
        (4900, np.float32, 10000),
    ],
)
def test_full_scale(tmp_path, top, dtype, scale):
    paths = write(tmp_path, ramp(top / 2, dtype), ramp(top, dtype))
    rule = decide_depth(paths, 'set')
    assert rule.scale == scale and not rule.fault
    np.testing.assert_allclose(rule.read(paths[1]), RAMP * top / scale, atol=5e-3)


def test_pixels_without_a_measurement(tmp_path):
    array = ramp(3000)
    array[:4] = 65535
    paths = write(tmp_path, array)
    rule = decide_depth(paths, 'set')
    assert (rule.scale, rule.none) == (4095, 65535)
    assert (rule.read(paths[0])[:4] == 0).all() and rule.read(paths[0]).max() > 0.7


def test_nearly_constant_maps_are_refused_when_they_are_used(tmp_path):
    paths = write(tmp_path, ramp(9, np.uint8), ramp(8, np.uint8))
    rule = decide_depth(paths, 'set')
    sample = dict(depth_path=paths[0], depth_rule=rule, ori_shape=RAMP.shape)
    with pytest.raises(DataError, match=r'set: all depth maps are nearly constant, .*0\.png'):
        LoadDepth()(dict(sample))
    assert LoadDepth(max_value=9)(dict(sample))['depth_map'].max() == 1
    assert LoadDepth(stretch=True)(dict(sample))['depth_map'].max() == 1
    load = LoadDepth(max_value=65535)
    with pytest.raises(DataError, match='8 depth maps are nearly constant'):
        for _ in range(8):
            load(dict(sample))


def test_later_maps_that_differ_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr('mmkd_sod.datasets.depth_rule.SAMPLE', 1)
    paths = write(tmp_path, ramp(4000), ramp(20000), ramp(255, np.uint8))
    rule = decide_depth(paths, 'set')
    for path, words in ((paths[1], r'1\.png.* reaches 20000'), (paths[2], r'2\.png.* has 8 bits')):
        with pytest.raises(DataError, match=words):
            rule.read(path)
    monkeypatch.setattr('mmkd_sod.datasets.depth_rule.SAMPLE', 3)
    with pytest.raises(DataError, match=r"2\.png' has 8 bits, '.*0\.png' 16 bits"):
        decide_depth(paths, 'set')


def test_maps_in_colour_are_refused(tmp_path):
    colours = np.dstack([ramp(255, np.uint8), 255 - ramp(255, np.uint8), ramp(0, np.uint8)])
    Image.fromarray(colours).save(tmp_path / 'jet.png')
    with pytest.raises(DataError, match=r"jet\.png' is in colour"):
        LoadDepth()(dict(depth_path=tmp_path / 'jet.png', ori_shape=RAMP.shape))


def test_units(tmp_path):
    (path,) = write(tmp_path, ramp(5000))
    sample = dict(depth_path=path, ori_shape=RAMP.shape)
    assert LoadDepth(unit='mm')(dict(sample))['depth_map'].max() == pytest.approx(0.5)
    assert LoadDepth(unit='mm', invert=True)(dict(sample))['depth_map'].max() == 1
    for more in (dict(unit='km'), dict(unit='m', max_value=3)):
        with pytest.raises(ConfigError, match='LoadDepth: unit='):
            LoadDepth(**more)


def test_the_data_set_hands_the_rule_over(tmp_path):
    for kind, array in (
        ('image', np.zeros((40, 60, 3), np.uint8)),
        ('depth', ramp(8000)),
        ('mask', (RAMP > 0.5).astype(np.uint8)),
    ):
        (tmp_path / kind / 'x').mkdir(parents=True)
        write(tmp_path / kind / 'x', array)
    info = RGBDCoSODDataset(data_root=str(tmp_path)).get_data_info(0)
    depth = LoadDepth()(dict(info, ori_shape=RAMP.shape))['depth_map']
    assert depth.max() == pytest.approx(0.8)
