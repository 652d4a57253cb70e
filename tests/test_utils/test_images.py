"""Reading images and masks of all kinds, and errors of unreadable ones."""

import os

import cv2
import numpy as np
import pytest
from PIL import Image

from mmkd_sod.errors import DataError
from mmkd_sod.utils.images import (
    fit_mask,
    read_depth,
    read_image,
    read_mask,
    read_with_opencv,
    write_image,
    write_png,
)

TRUTH = np.zeros((12, 16), np.uint8)
TRUTH[3:9, 4:12] = 255


def save(path, array, mode=None, **options):
    Image.fromarray(array, mode).save(path, **options)
    return path


def rgba_cut_out():
    picture = np.random.default_rng(0).integers(0, 256, (*TRUTH.shape, 3), dtype=np.uint8)
    return np.dstack([picture, TRUTH])


MASKS = dict(
    grey=TRUTH,
    zero_one=TRUTH // 255,
    zero_200=TRUTH // 255 * 200,
    rgb=np.dstack([TRUTH] * 3),
    red=np.dstack([TRUTH, TRUTH * 0, TRUTH * 0]),
    opaque_rgba=np.dstack([TRUTH] * 3 + [TRUTH * 0 + 255]),
    cut_out=rgba_cut_out(),
    grey_alpha=np.dstack([TRUTH] * 4),
    sixteen_bit=TRUTH.astype(np.uint16) * 257,
    sixteen_bit_zero_one=(TRUTH > 0).astype(np.uint16),
    sixteen_bit_of_8=TRUTH.astype(np.uint16),
)


@pytest.mark.parametrize('kind', MASKS)
def test_masks_of_many_kinds(tmp_path, kind):
    array = MASKS[kind]
    path = tmp_path / 'm.png'
    if array.dtype == np.uint16:
        cv2.imwrite(str(path), array)
    else:
        save(path, array)
    np.testing.assert_array_equal(read_mask(path), TRUTH)


def test_masks_of_one_bit_palette_and_float(tmp_path):
    Image.fromarray(TRUTH).convert('1').save(tmp_path / 'bit.png')
    palette = Image.fromarray(TRUTH // 255).convert('P')
    palette.putpalette([0, 0, 0, 128, 0, 0])
    palette.save(tmp_path / 'palette.png')
    save(tmp_path / 'float.tif', (TRUTH / 255).astype(np.float32))
    for name in ('bit.png', 'palette.png', 'float.tif'):
        np.testing.assert_array_equal(read_mask(tmp_path / name), TRUTH)


def test_grey_levels_stay(tmp_path):
    grey = np.tile(np.arange(0, 256, 16, dtype=np.uint8), (12, 1))
    np.testing.assert_array_equal(read_mask(save(tmp_path / 'g.png', grey)), grey)


@pytest.mark.parametrize('value, expected', [(0, 0), (1, 255), (255, 255)])
def test_constant_masks(tmp_path, value, expected):
    mask = read_mask(save(tmp_path / 'm.png', np.full((4, 5), value, np.uint8)))
    assert mask.shape == (4, 5) and (mask == expected).all()


def test_images_of_many_kinds(tmp_path):
    colour = np.random.default_rng(0).integers(0, 256, (10, 14, 3), dtype=np.uint8)
    grey = colour[..., 0]
    save(tmp_path / 'rgb.png', colour)
    save(tmp_path / 'rgba.png', np.dstack([colour, grey]))
    save(tmp_path / 'grey.png', grey)
    cv2.imwrite(str(tmp_path / 'sixteen.png'), grey.astype(np.uint16) * 257)
    Image.fromarray(colour).convert('P').save(tmp_path / 'palette.gif')
    Image.fromarray(colour).convert('CMYK').save(tmp_path / 'cmyk.tif')
    np.testing.assert_array_equal(read_image(tmp_path / 'rgb.png'), colour[..., ::-1])
    np.testing.assert_array_equal(read_image(tmp_path / 'rgba.png'), colour[..., ::-1])
    for name in ('grey.png', 'sixteen.png'):
        np.testing.assert_array_equal(read_image(tmp_path / name), np.dstack([grey] * 3))
    np.testing.assert_allclose(read_image(tmp_path / 'cmyk.tif'), colour[..., ::-1], atol=2)
    assert read_image(tmp_path / 'palette.gif').shape == (10, 14, 3)


def test_cmyk_jpeg(tmp_path):
    Image.new('CMYK', (9, 7), (0, 255, 255, 0)).save(tmp_path / 'c.jpg')
    blue, green, red = read_image(tmp_path / 'c.jpg')[3, 4]
    assert red > 200 and blue < 60 and green < 60


def test_exif_orientation_is_applied(tmp_path):
    picture = np.zeros((10, 20, 3), np.uint8)
    picture[:5] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # displayed rotated by 90 degrees clockwise
    save(tmp_path / 'e.jpg', picture, exif=exif, quality=95)
    shown = read_image(tmp_path / 'e.jpg')
    assert shown.shape == (20, 10, 3)
    assert shown[:, 7].mean() > 200 and shown[:, 2].mean() < 50


def damaged(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    whole = {
        'jpg': save(tmp_path / 'w.jpg', picture).read_bytes(),
        'png': save(tmp_path / 'w.png', picture).read_bytes(),
    }
    yield 'truncated.jpg', whole['jpg'][: len(whole['jpg']) // 2]
    yield 'truncated.png', whole['png'][: len(whole['png']) // 2]
    yield 'header_only.jpg', whole['jpg'][:20]
    yield 'empty.png', b''
    yield 'text.jpg', b'not an image'
    yield 'flipped.png', whole['png'][:200] + b'\x00' * 50 + whole['png'][250:]


@pytest.mark.parametrize('read', [read_image, read_mask])
def test_damaged_files_are_named(tmp_path, read):
    for name, content in damaged(tmp_path):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=name):
            read(tmp_path / name)
    with pytest.raises(DataError, match=r"none.png' does not exist"):
        read(tmp_path / 'none.png')
    with pytest.raises(DataError, match='damaged'):
        read(tmp_path)  # a folder


def test_one_pixel(tmp_path):
    assert read_image(save(tmp_path / 'i.png', np.full((1, 1, 3), 7, np.uint8))).shape == (1, 1, 3)
    assert read_mask(save(tmp_path / 'm.png', np.zeros((1, 1), np.uint8))).shape == (1, 1)


@pytest.mark.parametrize(
    'shape, target',
    [((50, 75), (100, 150)), ((100, 150), (50, 75)), ((33, 50), (100, 150)), ((1, 1), (3, 3))],
)
def test_fit_mask_of_the_same_frame(shape, target):
    mask = np.zeros(shape, np.uint8)
    mask[:, : shape[1] // 2] = 255
    fitted = fit_mask(mask, target, 'm.png')
    assert fitted.shape == target
    assert fitted.mean() == pytest.approx(mask.mean(), abs=3)


def test_fit_mask_refuses_another_frame():
    with pytest.raises(DataError, match="mask 'm.png' is 50 x 50, its image 75 x 50; give a mask"):
        fit_mask(np.zeros((50, 50), np.uint8), (50, 75), 'm.png')
    with pytest.raises(DataError, match='sides swapped: check the EXIF'):
        fit_mask(np.zeros((50, 80), np.uint8), (80, 50), 'm.png')


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_write_png(tmp_path, dtype):
    array = np.arange(48, dtype=dtype).reshape(6, 8) * (5 if dtype == np.uint8 else 1300)
    path = tmp_path / 'a' / 'b.png'
    write_png(path, array)
    np.testing.assert_array_equal(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), array)
    assert [p.name for p in path.parent.iterdir()] == ['b.png']


RAMP = np.linspace(0, 1, 12 * 16).reshape(12, 16)


@pytest.mark.parametrize(
    'array, mode, suffix',
    [
        ((RAMP * 255).round().astype(np.uint8), None, 'png'),
        ((RAMP * 65535).round().astype(np.uint16), None, 'png'),
        (np.dstack([(RAMP * 255).round().astype(np.uint8)] * 3), None, 'png'),
        (RAMP.astype(np.float32), None, 'tiff'),
        ((RAMP * 40).astype(np.float32), None, 'tiff'),
    ],
    ids=['8 bit', '16 bit', 'colour', 'float', 'metres'],
)
def test_depth_of_any_number_of_bits(tmp_path, array, mode, suffix):
    depth = read_depth(save(tmp_path / f'd.{suffix}', array, mode))
    assert depth.dtype == np.float32 and depth.shape == RAMP.shape
    np.testing.assert_allclose(depth, RAMP, atol=3e-3)


def test_depth_of_a_known_range(tmp_path):
    path = save(tmp_path / 'd.png', np.array([[0, 4000, 8000, 9000]], np.uint16))
    np.testing.assert_allclose(read_depth(path, max_value=8000), [[0, 0.5, 1, 1]])
    path = save(tmp_path / 'd.tiff', np.array([[np.nan, np.inf, 0.5, 1]], np.float32))
    np.testing.assert_allclose(read_depth(path), [[0, 0, 0.5, 1]])


def test_damaged_depth_is_named(tmp_path):
    (tmp_path / 'd.png').write_bytes(b'no image')
    with pytest.raises(DataError, match=r"depth map '.*d\.png' is not an image"):
        read_depth(tmp_path / 'd.png')


def test_names_of_any_bytes_are_written_and_read(tmp_path):
    path = tmp_path / os.fsdecode(b'\xff\n.png')
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    write_image(path, image)
    assert np.array_equal(read_image(path), image)
    assert np.array_equal(read_with_opencv(path), image)
    assert read_with_opencv(tmp_path / 'none.png') is None
    (tmp_path / 'empty.png').touch()
    assert read_with_opencv(tmp_path / 'empty.png') is None
    with pytest.raises(DataError, match='no image of shape'):
        write_image(tmp_path / 'a.xyz', image)


def test_a_pipe_is_no_image(tmp_path):
    os.mkfifo(tmp_path / 'a.png')
    with pytest.raises(DataError, match='is a pipe'):
        read_image(tmp_path / 'a.png')
    assert read_with_opencv(tmp_path / 'a.png') is None
