"""Reading and writing images, masks and depth maps."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from mmkd_sod.errors import DataError

from .files import atomic_path, check_regular, read_bytes
from .mask_kinds import MEANINGS, Mask, MaskRule, analyse, choose, unclear

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff')


def open_image(path, what: str) -> Image.Image:
    """Decode an image file completely and apply its EXIF orientation.

    Args:
        path (str | Path): The file.
        what (str): Kind of file, for messages.

    Raises:
        DataError: The file is missing, damaged (or truncated), not an image or not a file.
    """
    check_regular(path)
    try:
        with Image.open(path) as image:
            # Lost by loading: the bits per sample.
            stored = (image.tile[0].args if image.tile else '') or ''
            bits = stored if isinstance(stored, str) else str(stored[0])
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            image.info['rawmode'] = bits
            return image
    except FileNotFoundError:
        raise DataError(
            f"{what} '{path}' does not exist; add it or remove it from the list"
        ) from None
    except UnidentifiedImageError:
        raise DataError(
            f"{what} '{path}' is not an image that Pillow can read; replace it or remove it"
        ) from None
    except Image.DecompressionBombError as error:
        raise DataError(f"{what} '{path}' is too large ({error}); scale it down") from None
    # Decoders raise OSError, SyntaxError, ValueError and more on damaged files.
    except Exception as error:
        raise DataError(f"{what} '{path}' is damaged ({error}); replace it or remove it") from None


def _to_8_bit(values: np.ndarray) -> np.ndarray:
    """Convert grey levels of more than 8 bits or of floating type to uint8."""
    if values.dtype.kind == 'f':
        values = np.nan_to_num(values)
        values = values * 255 if values.max(initial=0) <= 1 else values
        return values.clip(0, 255).astype(np.uint8)
    if values.max(initial=0) <= 255:
        return values.clip(0, 255).astype(np.uint8)
    return (values.clip(0, 65535) // 257).astype(np.uint8)


def read_image(path) -> np.ndarray:
    """Read an image as 8-bit colour.

    EXIF orientation is applied; grey, palette, CMYK, 16-bit and transparent images are converted,
    transparency is dropped.

    Args:
        path (str | Path): The file.

    Returns:
        np.ndarray: (H, W, 3), uint8, BGR.

    Raises:
        DataError: The file is missing, damaged (or truncated) or not an image.
    """
    image = open_image(path, 'image')
    if image.mode.startswith(('I', 'F')):
        return cv2.cvtColor(_to_8_bit(np.asarray(image)), cv2.COLOR_GRAY2BGR)
    return cv2.cvtColor(np.asarray(image.convert('RGB')), cv2.COLOR_RGB2BGR)


def load_mask(path) -> Mask:
    """Read a saliency mask in any common format, with the rules that fit its values.

    Args:
        path (str | Path): The file.

    Raises:
        DataError: The file is missing, damaged or not an image.
    """
    return analyse(open_image(path, 'mask'), path)


def read_mask(path, rule: MaskRule | None = None) -> np.ndarray:
    """Read a saliency mask in any common format.

    - Grey masks keep their levels; 16-bit and floating masks are converted to 0 ... 255.
    - Numbers of classes or objects, and colours other than black, become 255; unlabelled pixels (of
      the value 255 beside numbers, or in VOC's colour) become 0.
    - Masks with transparency become alpha (a cut-out).
    - Masks with two values, 0 and another, become 0 and 255.

    Args:
        path (str | Path): The file.
        rule (MaskRule, optional): How to read the values, which
            ``mmkd_sod.datasets.mask_rule.decide`` finds for a folder. Default: decided by this
            mask.

    Returns:
        np.ndarray: (H, W), uint8; salient above 128, as in PySODMetrics.

    Raises:
        DataError: The file is missing, damaged, not an image, or its values do not fit the rule or
            have several meanings.
    """
    return read_mask_and_ignored(path, rule)[0]


def read_mask_and_ignored(path, rule: MaskRule | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Read a saliency mask and its unlabelled pixels, (H, W), bool; see ``read_mask``."""
    mask = load_mask(path)
    if rule is None:
        rule = choose(mask.rules)
        if rule is None:
            raise DataError(unclear(mask, path))
    elif not mask.fits(rule):
        raise DataError(
            f"mask '{path}' ({mask.describe()}) does not fit the "
            f'{"stated" if rule.stated else "other"} masks, which are read as '
            f'{MEANINGS[rule.kind]}; correct it, or set mask_values of its data set'
        )
    saliency, ignored = mask.read(rule)
    return np.ascontiguousarray(saliency), ignored


def load_depth(path) -> tuple[np.ndarray, str]:
    """Read the values of a depth map.

    Args:
        path (str | Path): The file; the channels of colour images are averaged.

    Returns:
        tuple: (H, W), float32, NaN and infinite values 0; and ``'8 bits'``, ``'16 bits'`` or
        ``'floating'``.

    Raises:
        DataError: The file is missing, damaged, not an image, or coloured by distance.
    """
    image = open_image(path, 'depth map')
    if image.mode.startswith(('I', 'F')):
        depth = np.nan_to_num(np.asarray(image).astype(np.float32), posinf=0, neginf=0)
        return depth, '16 bits' if image.mode.startswith('I') else 'floating'
    if image.mode in ('1', 'L', 'LA'):
        return np.asarray(image.convert('L')).astype(np.float32), '8 bits'
    colours = np.asarray(image.convert('RGB')).astype(np.float32)
    if ((colours.max(-1) - colours.min(-1)) > 64).mean() > 0.2:
        raise DataError(
            f"depth map '{path}' is in colour; it needs one channel, or three equal ones; export "
            'the distances instead of a colour map'
        )
    return colours.mean(-1), '8 bits'


def scale_depth(depth: np.ndarray, scale: float) -> np.ndarray:
    """Return values divided by the full scale and clipped to [0, 1]."""
    return (depth / scale).clip(0, 1)


def read_depth(path, max_value: float | None = None) -> np.ndarray:
    """Read an 8-bit, 16-bit or floating depth map.

    Args:
        path (str | Path): The file; the channels of colour images are averaged.
        max_value (float, optional): Value that becomes 1. Default: 255 for 8 bits, 65535 for 16
            bits; for floating maps the larger of 1 and their maximum.

    Returns:
        np.ndarray: (H, W), float32, in [0, 1]; NaN and infinite values become 0.

    Raises:
        DataError: The file is missing, damaged, not an image, or coloured by distance.
    """
    depth, kind = load_depth(path)
    tops = {'8 bits': 255.0, '16 bits': 65535.0, 'floating': max(1.0, depth.max(initial=0))}
    return scale_depth(depth, max_value or tops[kind])


def fit_mask(mask: np.ndarray, shape: tuple[int, int], path, what: str = 'mask') -> np.ndarray:
    """Resize a mask to the size of its image, provided that the aspect ratios agree.

    Args:
        mask (np.ndarray): (h, w), uint8 or floating.
        shape (tuple[int, int]): Height and width of the image.
        path (str | Path): File of the mask, for the message.
        what (str): Kind of file, for the message.

    Returns:
        np.ndarray: (H, W), resized bilinearly.

    Raises:
        DataError: The aspect ratios differ by more than 1 % and the rounding to whole pixels.
    """
    if mask.shape == tuple(shape):
        return mask
    (h, w), (height, width) = mask.shape, shape
    # After scaling to the same height, the widths may differ by one pixel of the smaller one.
    if abs(w * height - width * h) > max(h, height, 0.01 * width * h):
        turned = (
            ' (sides swapped: check the EXIF orientation of the image)'
            if (mask.shape == (width, height))
            else ''
        )
        raise DataError(
            f"{what} '{path}' is {w} x {h}, its image {width} x {height}{turned}; give "
            f'a {what} with the same aspect ratio'
        )
    return cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR)


def read_with_opencv(path) -> np.ndarray | None:
    """Return an image (H, W, 3), uint8, BGR, as OpenCV decodes it, or None if it cannot.

    OpenCV's own reader crashes on names that are not UTF-8.
    """
    try:
        content = np.frombuffer(read_bytes(path), np.uint8)
        return cv2.imdecode(content, cv2.IMREAD_COLOR) if content.size else None
    except (OSError, cv2.error):
        return None


def write_image(path, array: np.ndarray, options: Sequence[int] = ()) -> None:
    """Write an image atomically, in the format of the suffix.

    Args:
        path (str | Path): Output file; its folder is created. The name may be of any bytes, with
            which OpenCV's own writer would end the process.
        array (np.ndarray): (H, W), uint8 or uint16, or (H, W, 3 or 4), uint8, BGR(A).
        options (Sequence[int]): OpenCV's flags and values.

    Raises:
        DataError: OpenCV cannot write images of this format.
        OSError: The file cannot be written.
    """
    path = Path(path)
    try:
        done, encoded = cv2.imencode(path.suffix, array, list(options))
    except cv2.error:
        done = False
    if not done:
        raise DataError(
            f"'{path}': no image of shape {array.shape} can be written with this suffix; use .png"
        )
    with atomic_path(path) as temporary:
        temporary.write_bytes(encoded.tobytes())


def write_png(path, array: np.ndarray) -> None:
    """Write a PNG file atomically; see ``write_image``."""
    write_image(path, array)
