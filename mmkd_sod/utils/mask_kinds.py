"""How the values of a saliency mask are to be read.

Masks are stored as grey levels (0 to 255, soft edges), as class or object numbers (0, 1, 2, with
255 for unlabelled pixels), as colours, or as the transparency of a cut-out. A ``MaskRule`` says
which. A single mask may fit several rules: 0 and 255 are grey levels or one object. Those of a
folder together usually fit one.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from PIL import Image

from mmkd_sod.errors import ConfigError, DataError

# A mask of class numbers that has unlabelled pixels, but no object.
_VOID = 'void'
# Added to rules that cannot be told apart by this mask alone, but by others of its folder.
UNSURE = 'unsure'
# In order of preference.
_KINDS = ('levels', 'index', 'nonzero')
_ANY = frozenset((*_KINDS, _VOID))
_LEVELS, _NUMBERS = frozenset(('levels',)), frozenset(('index', 'nonzero'))
MEANINGS = dict(
    levels='grey levels, salient above half of the full scale',
    index='numbers of classes or objects, salient except 0; the highest value of the format '
    '(255) is ignored',
    nonzero='salient except 0',
    alpha='transparency, opaque is salient',
)
_VOC_VOID = (224, 224, 192)
# Value of a sample to the native value, for PNG and TIFF of less than 8 bits, which Pillow scales.
_FEW_BITS = {'L;2': 85, 'L;4': 17}
# Largest number of values of a mask without soft edges.
_FEW = 24


@dataclass(frozen=True)
class MaskRule:
    """How to read the values of masks.

    Attributes:
        kind (str): A key of ``MEANINGS``, or ``'scale'`` or ``'values'``.
        scale (float): Value of full saliency, for ``'scale'``.
        values (tuple): Salient, background and ignored values or colours, for ``'values'``; without
            background, all others are.
        stated (bool): Whether the user has stated it (``mask_values``).
    """

    kind: str
    scale: float = 0.0
    values: tuple = ((), (), ())
    stated: bool = False

    @classmethod
    def from_setting(cls, setting: Any) -> 'MaskRule | None':
        """Return the rule that ``mask_values`` states; None for None.

        Raises:
            ConfigError: The setting is not known.
        """
        if setting is None:
            return None
        if isinstance(setting, str) and setting in MEANINGS:
            return cls(setting, stated=True)
        if isinstance(setting, (int, float)) and not isinstance(setting, bool) and setting > 0:
            return cls('scale', float(setting), stated=True)
        names = ('salient', 'background', 'ignore')
        if isinstance(setting, dict) and setting.get('salient') and set(setting) <= set(names):
            values = tuple(
                tuple(tuple(v) if isinstance(v, (list, tuple)) else v for v in setting.get(n, ()))
                for n in names
            )
            return cls('values', values=values, stated=True)
        raise ConfigError(
            f'mask_values={setting!r} is not known; use one of {", ".join(map(repr, MEANINGS))}, '
            'the value of full saliency such as 100, or dict(salient=[1], ignore=[255])'
        )


@dataclass
class Mask:
    """The values of a mask file.

    Attributes:
        plane (np.ndarray): (H, W), integers.
        full (int): Highest value of the format.
        rules (frozenset): Kinds of rules that fit; empty where the values have no clear meaning.
        name (str): Kind of file, for messages.
        raw (np.ndarray): Values as stored: palette indices, or colours (H, W, 3).
        colours (Mask, optional): The colours of a mask with transparency, whose ``plane`` is the
            transparency.
    """

    plane: np.ndarray
    full: int
    rules: frozenset
    name: str
    raw: np.ndarray
    colours: 'Mask | None' = None

    def describe(self) -> str:
        """Return the kind of file and its values."""
        values = np.unique(self.plane).tolist()
        if self.raw.ndim == 3 and self.colours is None:
            values = [f'#{value:06x}' for value in _distinct(self.raw)]
        shown = ', '.join(map(str, values[:6]))
        more = f', ... {values[-1]}, {len(values)} in all' if len(values) > 6 else ''
        kind = f'{self.name}, transparency' if self.colours is not None else self.name
        return f'{kind}, values {shown}{more}'

    def fits(self, rule: MaskRule) -> bool:
        """Whether the mask may be read by a rule."""
        if rule.stated:
            if rule.kind in ('scale', 'values', 'alpha') or not self.rules:
                return True
            if rule.kind == 'levels' and self.plane.max(initial=0) * (255 / self.full) > 8:
                return True
        # Unlabelled pixels only are more likely an object of 255, unless the user knows.
        return rule.kind in self.rules or (
            rule.stated and rule.kind == 'index' and _VOID in self.rules
        )

    def read(self, rule: MaskRule) -> tuple[np.ndarray, np.ndarray]:
        """Return saliency, (H, W), uint8, salient above 128; and ignored pixels, (H, W), bool."""
        if rule.stated and self.colours is not None and not self.rules and rule.kind != 'alpha':
            return self.colours.read(rule)
        plane, full, ignored = self.plane, self.full, np.zeros(self.plane.shape, bool)
        if rule.kind == 'values':
            salient, background, ignore = (_among(self.raw, given) for given in rule.values)
            return _white(salient), ~(salient | background) if rule.values[1] else ignore
        if rule.kind == 'scale':
            return (plane * (255 / rule.scale)).clip(0, 255).astype(np.uint8), ignored
        if rule.kind == 'alpha' and self.colours is None:
            return _white(~ignored), ignored
        if rule.kind in _NUMBERS:
            if rule.stated and self.raw.ndim == 2:
                plane, full = self.raw, max(full, 255)
            if rule.kind == 'index' and full >= 255:
                ignored = plane == full
            return _white((plane > 0) & ~ignored), ignored
        top = int(plane.max(initial=0))
        two = top and np.count_nonzero(plane) == np.count_nonzero(plane == top)
        if two and (not rule.stated or top * 2 > full):
            return _white(plane > 0), ignored
        scale = 255 // full if full < 255 else 1 / (full // 255)
        return (plane if full == 255 else plane * scale + 1e-6).astype(np.uint8), ignored


def _white(salient: np.ndarray) -> np.ndarray:
    return salient.view(np.uint8) * np.uint8(255)


def _among(raw: np.ndarray, given: tuple) -> np.ndarray:
    found = np.zeros(raw.shape[:2], bool)
    for value in given:
        same = raw == np.asarray(value)
        found |= same.all(-1) if raw.ndim == 3 else same
    return found


def _edges(plane: np.ndarray, tolerance: int) -> np.ndarray:
    """Whether the 3 x 3 pixels around a pixel differ: at a soft edge, or in a thin line."""
    small = plane.dtype == np.uint8 or plane.max(initial=0) < 256
    values: Any = plane.astype(np.uint8 if small else np.float32, copy=False)
    return cv2.morphologyEx(values, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > tolerance


def _count(places: Any) -> np.ndarray:
    """Return how often each value occurs."""
    if places.dtype == np.uint8 and places.ndim == 2 and places.size:
        # Several times as fast as numpy, which converts every pixel to 64 bits.
        return cv2.calcHist([places], [0], None, [256], [0, 256]).ravel().astype(np.int64)
    return np.bincount(places.reshape(-1))


def grey_rules(plane: np.ndarray, full: int, lossy: bool = False) -> frozenset:
    """Return the kinds of rules that fit grey values.

    Args:
        plane (np.ndarray): (H, W), integers from 0 to ``full``.
        full (int): Highest value of the format.
        lossy (bool): Whether the file was compressed with a loss, so that values vary.

    Returns:
        frozenset: Empty if the values have no clear meaning; with ``UNSURE`` if other masks of the
        folder can tell.
    """
    small = plane.dtype == np.uint8 or plane.max(initial=0) < 65536
    places = plane if small else np.unique(plane, return_inverse=True)[1].reshape(plane.shape)
    bins = _count(places)
    values = present = np.flatnonzero(bins)
    if places is not plane:
        values = np.unique(plane)
    counts, levels = bins[present], values * (255 / full)
    high = levels > 128
    if values[-1] == 0:
        return _ANY
    if len(values) == 1 or (len(values) == 2 and values[0] == 0):
        if not high[-1]:
            return _NUMBERS
        return frozenset(('levels', 'nonzero', _VOID if values[-1] == full >= 255 else 'index'))
    if len(values) == 2 and 8 <= levels[0] <= 64 and levels[1] >= 192:
        return _LEVELS
    # Most pixels are not at an edge.
    edges = np.bincount(places[_edges(plane, 8 if lossy else 0)], minlength=len(bins))
    solid = (bins - edges)[present]
    if values[0] == 0 and not lossy:
        numbers = _are_numbers(values, counts, solid, full)
        if numbers is not None:
            return numbers
    if lossy or len(values) > _FEW:
        # Soft edges are thin; a flat part of a middle level may be an object of its own.
        middle = solid[(levels > 25) & ~high].sum()
        if middle > 0.25 * (middle + solid[high].sum()):
            return frozenset()
        clear = levels[-1] >= 200 and solid.sum() > 0.3 * plane.size
        return _LEVELS if clear else _LEVELS | {UNSURE}
    return _few_levels(values, levels, high, solid, full)


def _are_numbers(values, counts, solid, full: int) -> frozenset | None:
    """Return the rules of values that are numbers of classes or objects; None if they are not."""
    void = full >= 255 and values[-1] == full
    numbers, solids, sizes = values[1:], solid[1:], counts[1:]
    if void:
        numbers, solids, sizes = numbers[:-1], solids[:-1], sizes[:-1]
    limit = 100 if full == 255 else full // 2
    if numbers[-1] > limit and (void or numbers[-1] > full // 2 + 1):
        return None
    if numbers[-1] == 100 and len(numbers) > 1 and full == 255:
        return None  # or percent
    many = solids.sum() >= 0.5 * sizes.sum() and (solids > 0).sum() >= 0.8 * len(numbers)
    few = len(numbers) <= _FEW and (numbers[-1] <= 32 or bool((solids > 0).all()))
    if not (many or few):
        return None
    if not void:
        return _NUMBERS
    # Borders are thin; what has an area may be an object of its own.
    if sizes.sum() > counts[-1] and solid[-1] < 0.2 * solids.sum():
        return frozenset(('index',))
    return None


def _few_levels(values, levels, high, solid, full: int) -> frozenset:
    """Return the rules of at most ``_FEW`` values that are not clearly numbers."""
    low = (values > 0) & ~high
    if values[0] > 0:
        return frozenset()
    if not low.any():
        return frozenset(_KINDS)
    if not solid[1:].any() and len(values) > 12 and levels[-1] >= 200:
        return _LEVELS
    if solid[high].any() and not solid[low].any():
        return _LEVELS
    void = values[-1] == full >= 255 and high.sum() == 1
    faint = levels[low & (solid > 0)].max(initial=0) <= 16
    if faint and solid[low].sum() < 0.01 * solid[high].sum():
        return _LEVELS
    # Noise around an object of 255, or numbers with areas that are not labelled.
    return frozenset(('levels', 'index', UNSURE)) if faint and void else frozenset()


def analyse(image: Image.Image, path) -> Mask:
    """Return the values of a mask and the rules that fit them.

    Args:
        image (Image): The decoded file, from ``mmkd_sod.utils.images.open_image``.
        path (str | Path): The file, for messages.

    Raises:
        DataError: The format cannot hold a mask.
    """
    lossy = image.format in ('JPEG', 'MPO', 'WEBP')
    name = f'{image.format or ""} {image.mode}'.strip()
    array = np.asarray(image.convert('L') if image.mode == '1' else image)
    if image.mode == '1':
        return _grey(array, 255, name, lossy)
    if image.mode == 'L':
        factor = _FEW_BITS.get(image.info.get('rawmode', ''), 1)
        return _grey(array // factor if factor > 1 else array, 255 // factor, name, lossy)
    if image.mode.startswith(('I', 'F')):
        return _grey(*_wide(array, path), name, lossy)
    if image.mode not in ('P', 'PA', 'LA', 'La', 'RGB', 'RGBA', 'RGBa', 'RGBX', 'CMYK', 'YCbCr'):
        raise DataError(f"mask '{path}' has the mode {image.mode}; give a grey or colour image")
    return _colours(image, array, name, lossy, path)


def _wide(array: np.ndarray, path) -> tuple[np.ndarray, int]:
    """Return values of more than 8 bits as integers, and the highest value of their format."""
    if array.dtype.kind == 'f':
        if not np.isfinite(array).all() or array.min(initial=0) < 0:
            raise DataError(
                f"mask '{path}' has NaN, infinite or negative values; masks are not negative; "
                'replace them'
            )
        if array.max(initial=0) <= 1:
            return (array * 65535).round().astype(np.int64), 65535
        if (array != array.round()).any() and array.max() > 255:
            raise DataError(
                f"mask '{path}' has fractions up to {array.max():g}; give values from 0 to 1 or "
                '0 to 255'
            )
        array = array.round()
    array = array.astype(np.int64)
    if array.min(initial=0) < 0:
        raise DataError(
            f"mask '{path}' has negative values, first {array.min()}; masks are not negative; "
            'use 255 for ignored pixels'
        )
    top = array.max(initial=0)
    return array, next(full for full in (255, 65535, 2**62) if top <= full)


def _grey(plane: np.ndarray, full: int, name: str, lossy: bool, raw=None) -> Mask:
    rules = grey_rules(plane, full, lossy) if plane.size else frozenset()
    return Mask(plane, full, rules, name, plane if raw is None else raw)


def _colours(image: Image.Image, array: np.ndarray, name: str, lossy: bool, path) -> Mask:
    """Return the values of a mask with colours or transparency."""
    alpha = None
    if image.mode[-1] in 'Aa' or 'transparency' in image.info:
        alpha = np.asarray(image.convert('RGBA').getchannel('A'))
    colours = np.asarray(image.convert('RGB'))
    red, green, blue = cv2.split(colours)
    brightest = cv2.max(cv2.max(red, green), blue)
    raw = array if image.mode == 'P' else colours
    if '16B' in image.info.get('rawmode', '') and colours.max(initial=0) == 0:
        raise DataError(
            f"mask '{path}' has colours of 16 bits that are all below 256, which are lost; "
            'save it with 8 bits'
        )
    spread = (brightest - cv2.min(cv2.min(red, green), blue)).max(initial=0)
    if image.mode == 'P' and _hides_indices(raw, colours):
        mask = _grey(raw, 255, name, lossy, raw=raw)
    elif spread <= (32 if lossy else 0):
        mask = _grey(brightest, 255, name, lossy, raw=raw)
    elif not lossy and len(_distinct(colours)) <= 256:
        mask = _flat_colours(colours, name, raw)
    else:
        # Also a photograph.
        mask = _grey(brightest, 255, name, lossy, raw=raw)
        mask.rules &= _LEVELS if UNSURE not in mask.rules else frozenset()
    if alpha is None or np.ptp(alpha) <= 8:
        return mask
    return _with_alpha(mask, alpha, name)


def _distinct(colours: np.ndarray) -> np.ndarray:
    packed = colours.astype(np.int32) @ np.array([65536, 256, 1], np.int32)
    return np.unique(packed)


def _hides_indices(indices: np.ndarray, colours: np.ndarray) -> bool:
    """Whether a palette gives several used indices one colour."""
    return len(np.unique(indices)) > len(_distinct(colours))


def _flat_colours(colours: np.ndarray, name: str, raw: np.ndarray) -> Mask:
    """Return a mask of few colours: black is background, VOC's border colour is ignored."""
    void = (colours == _VOC_VOID).all(-1)
    painted = colours.any(-1)
    plane = np.where(void, 255, painted).astype(np.uint8)
    rules = _NUMBERS
    if painted.all() and len(_distinct(colours)) > 1:
        rules = frozenset()
    elif void.any():
        rules = frozenset(('index',))
    return Mask(plane, 255, rules, name, raw)


def _with_alpha(mask: Mask, alpha: np.ndarray, name: str) -> Mask:
    """Return a mask with transparency, which is the mask unless the colours differ from it."""
    rules = grey_rules(alpha, 255)
    single = choose(mask.rules)
    if single is not None and 0 < np.count_nonzero(mask.plane) < mask.plane.size:
        painted = mask.read(single)[0] > 128
        if ((alpha > 128) != painted).mean() > 0.01:
            rules = frozenset()
    return Mask(alpha, 255, rules, name, mask.raw, mask)


def choose(rules: frozenset) -> MaskRule | None:
    """Return the rule to read masks that all fit these kinds; None if it cannot be told."""
    if UNSURE in rules:
        return None
    return next((MaskRule(kind) for kind in _KINDS if kind in rules), None)


def unclear(mask: Mask, path) -> str:
    """Return the message about a mask whose values have several meanings."""
    return (
        f"mask '{path}' ({mask.describe()}): what is salient is not clear; set mask_values of its "
        "data set to 'levels' (above half), 'nonzero', 'index' (255 is ignored), 'alpha', a full "
        'scale such as 100, or dict(salient=[1], ignore=[255])'
    )
