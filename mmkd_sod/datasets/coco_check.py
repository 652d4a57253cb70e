"""Checks of COCO annotation files: boxes, identifiers, and the order of the classes.

mmdet numbers classes in the order of the json's categories, whatever the order of
``metainfo.classes``, and drops boxes that it cannot use.
"""

import difflib
import math
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from mmkd_sod.utils.files import read_json

# What mmdet's CocoDataset reads of each entry.
_NEEDED = dict(
    images=('id', 'file_name', 'height', 'width'),
    categories=('id', 'name'),
    annotations=('id', 'image_id', 'category_id', 'bbox'),
)


@dataclass
class Finding:
    """A kind of fault in an annotation file.

    Attributes:
        what (str): The fault.
        first (str): The first annotation or image that has it.
        count (int): Number of annotations or images that have it.
        fatal (bool): Whether training on it is meaningless.
    """

    what: str
    first: str
    count: int = 1
    fatal: bool = False

    def __str__(self) -> str:
        return f'{self.count:,} {self.what}, first {self.first}'


@dataclass
class CocoFile:
    """What the checks need of a file.

    Attributes:
        categories (list[str]): Names in the order of the json.
        annotations (int): Number of annotations.
        findings (list[Finding]): Faults.
    """

    categories: list = field(default_factory=list)
    annotations: int = 0
    findings: list = field(default_factory=list)


def structure_fault(found) -> str | None:
    """Return what mmdet's ``CocoDataset`` cannot read of a json's content, or None.

    Args:
        found: The content.

    Returns:
        str, optional: To be put behind the name of the file.
    """
    if not isinstance(found, dict):
        return f' contains a {type(found).__name__}; give a COCO dict'
    for name, keys in _NEEDED.items():
        if not isinstance(found.get(name), list):
            return f" has no list '{name}'; add it, as the COCO format requires"
        for number, entry in enumerate(found[name]):
            if not isinstance(entry, dict):
                return f': {name}[{number}] is {entry!r}; give a dict'
            missing = [key for key in keys if key not in entry]
            if missing and not entry.get('ignore'):  # mmdet skips it before it looks at its box
                return f': {name}[{number}] has no {", ".join(missing)}; add it'
    for number, entry in enumerate(found['annotations']):
        if not entry.get('ignore') and not _is_box(entry['bbox']):
            return (
                f': annotations[{number}].bbox is {entry["bbox"]!r}; give four numbers, x, y, '
                'width and height'
            )
    return None


def _is_box(bbox) -> bool:
    return (
        isinstance(bbox, list)
        and len(bbox) == 4
        and all(isinstance(value, (int, float)) for value in bbox)
    )


def examine_file(path: str) -> CocoFile | None:
    """Read and check a COCO json; None if it is not one, which the data set itself reports."""
    try:
        stat = os.stat(path)
        return _examine_version(path, stat.st_mtime_ns, stat.st_size)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


@lru_cache(maxsize=8)
def _examine_version(path: str, *version: int) -> CocoFile:
    return examine_content(read_json(path))


def examine_content(found: dict) -> CocoFile:
    """Check the content of a COCO json."""
    kinds: dict[str, Finding] = {}

    def add(what: str, first: str, fatal: bool = False) -> None:
        if what in kinds:
            kinds[what].count += 1
        else:
            kinds[what] = Finding(what, first, fatal=fatal)

    images = {image['id']: image for image in found['images']}
    categories = {category['id']: category['name'] for category in found['categories']}
    for name in ('images', 'annotations', 'categories'):
        for key, count in Counter(entry['id'] for entry in found[name]).items():
            if count > 1:
                add(f'{name} share an id with another', f'id {key}', fatal=True)
    for name, count in Counter(category['name'] for category in found['categories']).items():
        if count > 1:
            add('categories share a name with another', f"'{name}'", fatal=True)
    for entry in found['annotations']:
        if not entry.get('ignore'):
            _check_entry(entry, images, categories, add)
    unused = sum(f.count for f in kinds.values() if 'are not used' in f.what)
    total = len(found['annotations'])
    if total and unused > 0.5 * total:
        worst = max((f for f in kinds.values() if 'are not used' in f.what), key=lambda f: f.count)
        worst.fatal = True
    names = [category['name'] for category in found['categories']]
    return CocoFile(names, total, list(kinds.values()))


def _check_entry(entry: dict, images: dict, categories: dict, add) -> None:
    name = f'annotation {entry["id"]}'
    image = images.get(entry['image_id'])
    if image is None:
        add('annotations of an unknown image are not used', f'{name}, image {entry["image_id"]}')
        return
    first = f"{name} of '{image['file_name']}', bbox {entry['bbox']}"
    if entry['category_id'] not in categories:
        add('annotations of an unknown category are not used', f'{name}, {entry["category_id"]}')
        return
    x, y, width, height = entry['bbox']
    if not all(math.isfinite(value) for value in (x, y, width, height)):
        add('boxes are NaN or infinite', first, fatal=True)
    elif width < 1 or height < 1:
        kind = 'negative' if min(width, height) < 0 else 'below 1 pixel'
        add(f'boxes whose width or height is {kind} are not used', first)
    elif x >= image['width'] or y >= image['height'] or x + width <= 0 or y + height <= 0:
        add('boxes outside of their image are not used', first)
    elif min(x, y) < -1 or x + width > image['width'] + 1 or y + height > image['height'] + 1:
        add('boxes reach out of their image', first)


def compare_classes(classes: Sequence[str], categories: Sequence[str]) -> tuple[str, str]:
    """Compare ``metainfo.classes`` with the categories of a json.

    Args:
        classes (Sequence[str]): Names of the data set.
        categories (Sequence[str]): Names of the json in its order.

    Returns:
        tuple[str, str]: Why labels would be wrong, or ''; and what differs otherwise, or ''.
    """
    known = [name for name in categories if name in classes]
    absent = [name for name in classes if name not in categories]
    extra = [name for name in categories if name not in classes]
    # Names often differ by case or a plural.
    lower = {str(name).lower(): name for name in extra}
    near = [
        f"'{lower[pair[0]]}' for '{name}'"
        for name in absent
        if (pair := difflib.get_close_matches(str(name).lower(), lower, 1, 0.7))
    ]
    hint = f' (perhaps {", ".join(near[:3])})' if near else ''
    if not known:
        return f'its categories {few(categories)} are none of {few(classes)}', ''
    wrong = [name for i, name in enumerate(known) if classes[i] != name]
    if wrong:
        what = (
            f'it has no {few(absent)}{hint}, so that the labels of others shift'
            if absent and known == [name for name in classes if name in categories]
            else f'its order is {few(known)}, that of the classes {few(classes)}'
        )
        return f'{what}: mmdet would label {wrong[0]!r} as {classes[known.index(wrong[0])]!r}', ''
    parts = []
    if absent:
        parts.append(f'has no category {few(absent)}{hint}')
    if extra:
        parts.append(f'has categories that are not classes and are not used: {few(extra)}')
    return '', ' and '.join(parts)


def few(names: Sequence) -> str:
    """Return up to six names in parentheses."""
    return f'({", ".join(map(str, names[:6]))}{", ..." if len(names) > 6 else ""})'
