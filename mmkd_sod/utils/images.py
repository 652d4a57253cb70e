"""Reading and writing images and masks; whatever cannot be read is named."""
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from mmkd_sod.errors import DataError

from .files import atomic_path

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff')


def open_image(path, what: str) -> Image.Image:
    """Decode a file whole and turn it as its EXIF orientation says.

    Args:
        path (str | Path): The file.
        what (str): What it is, for messages.

    Raises:
        DataError: The file is missing, damaged (truncated ones too) or no image.
    """
    try:
        with Image.open(path) as image:
            image.load()
            return ImageOps.exif_transpose(image)
    except FileNotFoundError:
        raise DataError(f"{what} '{path}' is not there; add it or take it off the list") from None
    except UnidentifiedImageError:
        raise DataError(f"{what} '{path}' is no image that Pillow knows; replace it or remove "
                        'it') from None
    except Image.DecompressionBombError as error:
        raise DataError(f"{what} '{path}' is too large ({error}); scale it down") from None
    # Decoders raise OSError, SyntaxError, ValueError and more on damaged files.
    except Exception as error:
        raise DataError(f"{what} '{path}' is damaged ({error}); replace it or remove it") from None


def _to_8_bit(values: np.ndarray) -> np.ndarray:
    """Grey levels of more than 8 bits, or floating ones, as uint8."""
    if values.dtype.kind == 'f':
        values = np.nan_to_num(values)
        values = values * 255 if values.max(initial=0) <= 1 else values
        return values.clip(0, 255).astype(np.uint8)
    if values.max(initial=0) <= 255:
        return values.clip(0, 255).astype(np.uint8)
    return (values.clip(0, 65535) // 257).astype(np.uint8)


def read_image(path) -> np.ndarray:
    """Read an image as a viewer would show it.

    EXIF orientation is applied; grey, palette, CMYK, 16-bit and transparent images become 8-bit
    colour (transparency is dropped).

    Args:
        path (str | Path): The file.

    Returns:
        np.ndarray: (H, W, 3), uint8, BGR.

    Raises:
        DataError: The file is missing, damaged (truncated ones too) or no image.
    """
    image = open_image(path, 'image')
    if image.mode.startswith(('I', 'F')):
        return cv2.cvtColor(_to_8_bit(np.asarray(image)), cv2.COLOR_GRAY2BGR)
    return cv2.cvtColor(np.asarray(image.convert('RGB')), cv2.COLOR_RGB2BGR)


def read_mask(path) -> np.ndarray:
    """Read a saliency mask, however it was saved.

    - Grey masks keep their levels; 16-bit and floating ones are brought to 0 ... 255.
    - Of a colour or palette mask the largest of R, G, B counts: what is not black is salient.
    - Of a mask with transparency, alpha counts where it is what varies (a cut-out), else colour.
    - A mask of two values, 0 and any other, becomes 0 and 255: 0/1 masks and class indices.

    Args:
        path (str | Path): The file.

    Returns:
        np.ndarray: (H, W), uint8; salient where above 128, as PySODMetrics has it.

    Raises:
        DataError: The file is missing, damaged or no image.
    """
    image = open_image(path, 'mask')
    if image.mode.startswith(('I', 'F')):
        mask = _to_8_bit(np.asarray(image))
    elif image.mode in ('1', 'L'):
        mask = np.asarray(image.convert('L'))
    else:
        rgba = np.asarray(image.convert('RGBA'))
        mask, alpha = rgba[..., :3].max(-1), rgba[..., 3]
        if alpha.min() != alpha.max():
            colour_is_a_mask = set(np.unique(mask)) <= {0, 255} and mask.min() != mask.max()
            mask = mask if colour_is_a_mask else alpha
    top = mask.max(initial=0)
    if 0 < top < 255 and np.count_nonzero(mask) == np.count_nonzero(mask == top) and (
            top == 1 or mask.min() == 0):
        mask = np.where(mask > 0, np.uint8(255), np.uint8(0))
    return np.ascontiguousarray(mask)


def read_depth(path, max_value: float | None = None) -> np.ndarray:
    """Read a depth map, whatever its number of bits.

    Args:
        path (str | Path): The file. Of a colour image the mean of the channels counts.
        max_value (float, optional): What becomes 1; 255 for 8 bits, 65535 for 16 bits where absent,
            for floating maps 1, or their own largest value if that is above 1.

    Returns:
        np.ndarray: (H, W), float32, in [0, 1]; what is no number becomes 0.

    Raises:
        DataError: The file is missing, damaged or no image.
    """
    image = open_image(path, 'depth map')
    if image.mode.startswith(('I', 'F')):
        depth = np.nan_to_num(np.asarray(image).astype(np.float32), posinf=0, neginf=0)
        top = 65535. if image.mode.startswith('I') else max(1., depth.max(initial=0))
    else:
        mode = 'L' if image.mode in ('1', 'L', 'LA') else 'RGB'
        depth, top = np.asarray(image.convert(mode)).astype(np.float32), 255.
        depth = depth.mean(-1) if depth.ndim == 3 else depth
    return (depth / (max_value or top)).clip(0, 1)


def fit_mask(mask: np.ndarray, shape: tuple[int, int], path, what: str = 'mask') -> np.ndarray:
    """Bring a mask to its image's size when both show the same frame.

    Args:
        mask (np.ndarray): (h, w), uint8 or floating.
        shape (tuple[int, int]): Height and width of the image.
        path (str | Path): The mask's file, for the message.
        what (str): What it is, for the message.

    Returns:
        np.ndarray: (H, W), resized bilinearly if need be.

    Raises:
        DataError: The aspects differ by more than the rounding of a resize to whole pixels and 1 %.
    """
    if mask.shape == tuple(shape):
        return mask
    (h, w), (height, width) = mask.shape, shape
    # Scaled to the image's height, the width may be off by a pixel of the smaller of both.
    if abs(w * height - width * h) > max(h, height, .01 * width * h):
        turned = ' (the sides are swapped: was the image turned by its EXIF orientation?)' if (
            mask.shape == (width, height)) else ''
        raise DataError(f"{what} '{path}' is {w} x {h}, its image {width} x {height}{turned}; give "
                        f'a {what} of the same aspect')
    return cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR)


def write_png(path, array: np.ndarray) -> None:
    """Write an 8-bit or 16-bit image (H, W), or an 8-bit (H, W, 3 or 4) one in BGR(A), atomically.

    Args:
        path (str | Path): A name that ends in ``.png``; folders are made.
        array (np.ndarray): uint8 or uint16.

    Raises:
        DataError: OpenCV could not write it, for instance because the disk is full.
    """
    with atomic_path(Path(path)) as temporary:
        if not cv2.imwrite(str(temporary), array):
            raise DataError(f"'{path}' could not be written; see whether the disk is full")
