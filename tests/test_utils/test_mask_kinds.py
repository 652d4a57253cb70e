"""Masks of many encodings: the object is found as Pillow shows it, or the file is refused."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFilter, ImageOps

from mmkd_sod.datasets.transforms import LoadSODMask
from mmkd_sod.errors import ConfigError, DataError
from mmkd_sod.utils.images import read_mask
from mmkd_sod.utils.mask_kinds import MaskRule

HEIGHT, WIDTH = 60, 84
# Two objects of different sizes, not symmetrical, so that a turned mask differs.
FIRST = np.zeros((HEIGHT, WIDTH), bool)
FIRST[10:40, 12:40] = True
SECOND = np.zeros((HEIGHT, WIDTH), bool)
SECOND[30:52, 50:75] = True
TRUTH = FIRST | SECOND


def grown(area, side):
    return np.asarray(Image.fromarray(area).convert('L').filter(ImageFilter.MaxFilter(side))) > 0


RING = grown(TRUTH, 5) & ~TRUTH
EDGE = RING | grown(~TRUTH, 3) & TRUTH
PHOTO = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def paint(first, second, ring=0, ground=0, kind=np.uint8):
    """Return values of the first object, the second, the ring around both and the rest."""
    array = np.full((HEIGHT, WIDTH), ground, kind)
    array[RING], array[FIRST], array[SECOND] = ring, first, second
    return array


def dyed(first, second, ring=(0, 0, 0), ground=(0, 0, 0)):
    channels = zip(first, second, ring, ground, strict=True)
    return np.dstack([paint(*values) for values in channels])


def paletted(array, colours, **options):
    image = Image.fromarray(array, 'P')
    image.putpalette([v for colour in colours for v in colour])
    return image, options


def voc_palette():
    palette = []
    for index in range(256):
        colour = [0, 0, 0]
        for bit in range(8):
            for channel in range(3):
                colour[channel] |= (index >> (3 * bit + channel) & 1) << (7 - bit)
        palette.append(colour)
    return palette


def few_bits(array, bits):
    """Return a grey PNG of 2 or 4 bits, which Pillow does not write."""
    per_byte = 8 // bits
    padded = np.pad(array, ((0, 0), (0, -array.shape[1] % per_byte)))
    shifts = np.arange(per_byte - 1, -1, -1) * bits
    packed = (padded.reshape(len(array), -1, per_byte) << shifts).sum(-1).astype(np.uint8)

    def chunk(kind, data):
        return (
            struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
        )

    header = struct.pack('>IIBBBBB', array.shape[1], array.shape[0], bits, 0, 0, 0, 0)
    rows = b''.join(b'\0' + row.tobytes() for row in packed)
    body = chunk(b'IHDR', header) + chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b'')
    return b'\x89PNG\r\n\x1a\n' + body


def soft(array, radius=1.2):
    return np.asarray(Image.fromarray(array).filter(ImageFilter.GaussianBlur(radius)))


def cut_out(alpha, colours=PHOTO):
    return np.dstack([colours, alpha])


W = 65535
VOC = voc_palette()
# File suffix, and an array, the bytes of a file, or an image with options of `save`.
RIGHT = {
    'L 0 255': ('png', paint(255, 255)),
    'L 0 1': ('png', paint(1, 1)),
    'L 0 128': ('png', paint(128, 128)),
    'L 0 100': ('png', paint(100, 100)),
    'L 0 1 2': ('png', paint(1, 2)),
    'L 0 7 20': ('png', paint(7, 20)),
    'L 0 38 75': ('png', paint(38, 75)),
    'L 0 200 255': ('png', paint(200, 255)),
    'L soft': ('png', soft(paint(255, 255))),
    'L thin soft edge': ('png', paint(255, 255, 128)),
    'L bmp 0 1': ('bmp', paint(1, 1)),
    'L tif 0 1 2': ('tif', paint(1, 2)),
    'L jpg 0 255': ('jpg', paint(255, 255)),
    'L jpg 0 1': ('jpg', (Image.fromarray(paint(1, 1)), dict(quality=100))),
    '1 png': ('png', paint(255, 255) > 0),
    '1 tif': ('tif', paint(255, 255) > 0),
    '1 bmp': ('bmp', paint(255, 255) > 0),
    'L 2 bits 0 1': ('png', few_bits(paint(1, 1), 2)),
    'L 2 bits 0 1 2': ('png', few_bits(paint(1, 2), 2)),
    'L 2 bits 0 3': ('png', few_bits(paint(3, 3), 2)),
    'L 4 bits 0 1': ('png', few_bits(paint(1, 1), 4)),
    'L 4 bits 0 1 2': ('png', few_bits(paint(1, 2), 4)),
    'L 4 bits 0 15': ('png', few_bits(paint(15, 15), 4)),
    'I;16 0 65535': ('png', paint(W, W, kind=np.uint16)),
    'I;16 0 1': ('png', paint(1, 1, kind=np.uint16)),
    'I;16 0 255': ('png', paint(255, 255, kind=np.uint16)),
    'I;16 0 300 301': ('png', paint(300, 301, kind=np.uint16)),
    'I;16 0 1 2': ('tif', paint(1, 2, kind=np.uint16)),
    'I 0 1 2': ('tif', paint(1, 2, kind=np.int32)),
    'I 0 70000 80000': ('tif', paint(70000, 80000, kind=np.int32)),
    'F 0 1': ('tif', paint(1, 1, kind=np.float32)),
    'F 0 255': ('tif', paint(255, 255, kind=np.float32)),
    'F 0 1 2': ('tif', paint(1, 2, kind=np.float32)),
    'F soft': ('tif', soft(paint(255, 255)).astype(np.float32) / 255),
    'P grey ramp 0 255': ('png', paletted(paint(255, 255), [[i] * 3 for i in range(256)])),
    'P grey ramp 0 1 2': ('png', paletted(paint(1, 2), [[i] * 3 for i in range(256)])),
    'P black white 1 bit': ('png', paletted(paint(1, 1), [[0] * 3, [255] * 3], bits=1)),
    'P white black': ('png', paletted(paint(0, 0, 1, 1), [[255] * 3, [0] * 3])),
    'P black 128,0,0': ('png', paletted(paint(1, 1), VOC)),
    'P VOC 1 15': ('png', paletted(paint(1, 15), VOC)),
    'P DAVIS 1 8': ('png', paletted(paint(1, 8), VOC)),
    'P one colour': ('png', paletted(paint(1, 2), [[0] * 3] * 256)),
    'P object first': ('png', paletted(paint(0, 2, 1, 1), [[200, 0, 0], [0] * 3, [0, 90, 0]])),
    'P transparent ground': (
        'png',
        paletted(paint(1, 1), [[255] * 3, [200, 0, 0]], transparency=0),
    ),
    'RGB 0 255': ('png', dyed([255] * 3, [255] * 3)),
    'RGB 0 1': ('png', dyed([1] * 3, [1] * 3)),
    'RGB 0 1 2': ('png', dyed([1] * 3, [2] * 3)),
    'RGB red': ('png', dyed([90, 0, 0], [90, 0, 0])),
    'RGB VOC colours': ('bmp', dyed(VOC[1], VOC[8])),
    'RGB jpg 0 255': ('jpg', dyed([255] * 3, [255] * 3)),
    'RGBA opaque': ('png', cut_out(paint(255, 255, 255, 255), dyed([255] * 3, [255] * 3))),
    'RGBA cut-out': ('png', cut_out(paint(255, 255))),
    'RGBA soft cut-out': ('png', cut_out(soft(paint(255, 255)))),
    'RGBA one colour': ('png', cut_out(paint(255, 255), PHOTO * 0 + 90)),
    'RGBA drawing': ('png', cut_out(paint(255, 255), dyed([90, 0, 0], [0, 90, 0]))),
    'RGBA black on clear': ('png', cut_out(paint(255, 255), PHOTO * 0)),
    'LA cut-out': ('png', np.dstack([PHOTO[..., 0], paint(255, 255)])),
    'LA opaque': ('png', np.dstack([paint(255, 255), paint(255, 255, 255, 255)])),
    'CMYK tif': ('tif', (Image.fromarray(dyed([255] * 3, [255] * 3)).convert('CMYK'), {})),
}
IGNORED = {
    'L 0 1 255': ('png', paint(1, 1, 255)),
    'L 0 1 2 255': ('png', paint(1, 2, 255)),
    'I;16 0 1 65535': ('png', paint(1, 1, W, kind=np.uint16)),
    'P VOC 1 15 255': ('png', paletted(paint(1, 15, 255), VOC)),
    'RGB VOC colours': ('png', dyed(VOC[1], VOC[15], VOC[255])),
}
REFUSED = {
    'L 0 50 100': ('png', paint(50, 100)),
    'L 0 90 200': ('png', paint(90, 200)),
    'L 0 127 255': ('png', paint(127, 255)),
    'L 1 2': ('png', paint(1, 1, 2, 2)),
    'L 1 2 3': ('png', paint(1, 1, 3, 2)),
    'L soft 0 100': ('png', soft(paint(100, 100))),
    'L soft 0 127 255': ('png', soft(paint(127, 255))),
    'L jpg 0 127 255': ('jpg', paint(127, 255)),
    'L 0 255 with 1': ('png', paint(1, 255)),
    'L 2 bits 0 1 3': ('png', few_bits(paint(1, 3), 2)),
    'I -1 0 1': ('tif', paint(1, 1, -1, kind=np.int32)),
    'F NaN': ('tif', paint(1, 1, np.nan, kind=np.float32)),
    'F fractions': ('tif', paint(1.5, 300.25, kind=np.float32)),
    'P no black': ('png', paletted(paint(1, 2), [[128, 64, 128], [9, 9, 200], [0, 90, 0]])),
    'RGB no black': ('png', dyed([200, 0, 0], [0, 90, 0], [9, 9, 9], [9, 9, 9])),
    'RGB photo': ('png', PHOTO),
    'RGBA black on clear white': (
        'png',
        cut_out(paint(255, 255), dyed([0] * 3, [0] * 3, [255] * 3, [255] * 3)),
    ),
    'LAB tif': ('tif', (Image.fromarray(PHOTO).convert('LAB'), {})),
}


def write(folder, encoding, **more):
    suffix, content = encoding
    path = folder / f'm.{suffix}'
    if isinstance(content, bytes):
        path.write_bytes(content)
        return path
    image, options = content if isinstance(content, tuple) else (Image.fromarray(content), {})
    image.save(path, **options, **more)
    return path


def load(path, shape=TRUTH.shape):
    return LoadSODMask()(dict(seg_map_path=str(path), ori_shape=shape))['gt_seg_map']


@pytest.mark.parametrize('name', RIGHT)
def test_objects_are_found(tmp_path, name):
    path = write(tmp_path, RIGHT[name])
    found = load(path)
    # Blurring and JPEG move the edge by at most a pixel.
    sure = ~EDGE if 'soft' in name or 'jpg' in name else np.ones_like(TRUTH)
    np.testing.assert_array_equal(found[sure], TRUTH[sure])


@pytest.mark.parametrize('name', IGNORED)
def test_unlabelled_pixels_are_ignored(tmp_path, name):
    path = write(tmp_path, IGNORED[name])
    np.testing.assert_array_equal(load(path), np.where(RING, 255, TRUTH))
    np.testing.assert_array_equal(read_mask(path), TRUTH * np.uint8(255))


@pytest.mark.parametrize('name', REFUSED)
def test_unclear_masks_are_refused_by_name(tmp_path, name):
    path = write(tmp_path, REFUSED[name])
    with pytest.raises(DataError, match=rf"mask '{path}'"):
        load(path)


@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize('name', ['L 0 1', 'P VOC 1 15', 'RGBA cut-out', 'I;16 0 1', 'L jpg 0 255'])
def test_orientation(tmp_path, name, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = write(tmp_path, RIGHT[name], exif=exif)
    shown = Image.fromarray(TRUTH.astype(np.uint8))
    shown.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(shown))
    assert (load(path, expected.shape) == expected).mean() > (0.98 if 'jpg' in name else 0.9999)


@pytest.mark.parametrize(
    'setting, encoding, expected',
    [
        ('levels', paint(127, 255), SECOND),
        ('nonzero', paint(127, 255), TRUTH),
        ('index', paint(50, 100, 255), TRUTH),
        (100, paint(40, 100), SECOND),
        ('alpha', cut_out(paint(255, 0), dyed([0] * 3, [255] * 3, [255] * 3, [255] * 3)), FIRST),
        (dict(salient=[2]), paint(1, 2), SECOND),
        (dict(salient=[1], background=[2]), paint(1, 1, 3, 2), TRUTH),
        (dict(salient=[[200, 0, 0]]), dyed([200, 0, 0], [0, 90, 0]), FIRST),
    ],
)
def test_a_setting_resolves_it(tmp_path, setting, encoding, expected):
    path = write(tmp_path, ('png', encoding))
    sample = dict(
        seg_map_path=path, ori_shape=TRUTH.shape, mask_rule=MaskRule.from_setting(setting)
    )
    found = LoadSODMask()(sample)['gt_seg_map']
    np.testing.assert_array_equal(found == 1, expected)


@pytest.mark.parametrize('setting', ['white', 0, True, [1], dict(ignore=[255]), dict(object=[1])])
def test_unknown_settings(setting):
    with pytest.raises(ConfigError, match="mask_values=.*is not known; use one of 'levels'"):
        MaskRule.from_setting(setting)
