"""Converting the Pascal VOC layout to COCO json.

As in mmdet's ``VOCDataset``, 1 is subtracted from all four coordinates (after truncation), so that
a VOC box becomes x, y = xmin - 1, ymin - 1 and width, height = xmax - xmin, ymax - ymin, and a
model gets the same boxes from either reader. Unlike mmdet, boxes are clipped to the image, and
boxes without area are dropped and reported.
"""

import math
import os.path as osp
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from mmkd_sod.errors import ConfigError, DataError
from mmkd_sod.utils.files import read_bytes, read_json, write_json
from mmkd_sod.utils.images import read_with_opencv
from mmkd_sod.utils.progress import progress_bar

SPLITS = ('train', 'val', 'trainval', 'test')
DIFFICULT = ('ignore', 'keep', 'drop')
_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp')


@dataclass
class SplitReport:
    """Counts and problems of one split.

    Attributes:
        split (str): Name of the split.
        images (int): Number of images.
        boxes (Counter): Written boxes by class name.
        difficult (int): Number of objects marked difficult.
        clipped (list[str]): Boxes that were clipped to the image.
        dropped (list[str]): Boxes without area, which were dropped.
        sizes (list[str]): Images with a missing or wrong size in the xml.
        empty (list[str]): Images without a box.
    """

    split: str
    images: int = 0
    boxes: Counter = field(default_factory=Counter)
    difficult: int = 0
    clipped: list = field(default_factory=list)
    dropped: list = field(default_factory=list)
    sizes: list = field(default_factory=list)
    empty: list = field(default_factory=list)


class _PlainTreeBuilder(ET.TreeBuilder):
    """Tree builder that refuses document types, which could define entities."""

    def doctype(self, name, pubid, system):
        raise DataError('has a DOCTYPE, which could define entities; remove it')


def read_xml(path: Path) -> ET.Element:
    """Read an annotation file without expanding entities.

    Args:
        path (Path): The xml file.

    Returns:
        Element: The root element.

    Raises:
        DataError: The file is missing, is not xml or has a document type.
    """
    try:
        return ET.fromstring(read_bytes(path), ET.XMLParser(target=_PlainTreeBuilder()))
    except FileNotFoundError:
        raise DataError(
            f"'{path}' does not exist; a split lists its image; add the file or change the split"
        ) from None
    except DataError as error:
        raise DataError(f"'{path}' {error}") from None
    except (ET.ParseError, ValueError) as error:
        raise DataError(f"'{path}' is not readable xml ({error}); repair it") from None


def _text(node: ET.Element, tag: str, path: Path) -> str:
    text = (node.findtext(tag) or '').strip()
    if not text:
        raise DataError(f"'{path}': <{node.tag}> has no <{tag}>; add it")
    return text


def _number(node: ET.Element, tag: str, path: Path) -> int:
    text = _text(node, tag, path)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"'{path}': <{tag}> is {text!r}; it must be a number; correct it")
    return int(value)


def read_split(root: Path, split: str) -> list:
    """Return the image names listed for a split, in order.

    Args:
        root (Path): Folder with ``Annotations``, ``JPEGImages`` and ``ImageSets/Main``.
        split (str): Name of the split.

    Returns:
        list[str]: Names without suffix.

    Raises:
        DataError: The list is missing or empty, or a name is repeated or not a plain file name.
    """
    path = root / 'ImageSets' / 'Main' / f'{split}.txt'
    if not path.is_file():
        raise DataError(
            f"'{path}' does not exist; give a folder with Annotations, JPEGImages and "
            'ImageSets/Main'
        )
    try:
        lines = path.read_text(encoding='utf-8').splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"'{path}' is not text in UTF-8 ({error}); write it again") from None
    # VOC's lists per class have a second column.
    names = [line.split()[0] for line in lines if line.strip()]
    if not names:
        raise DataError(f"'{path}' lists no images; add their names")
    for name, count in Counter(names).items():
        if osp.basename(name) != name or name in ('.', '..'):
            raise DataError(
                f"'{path}': {name!r} is not a plain image name; paths are not allowed; "
                'remove the folder'
            )
        if count > 1:
            raise DataError(
                f"'{path}' lists {name} {count} times; each image may be listed once; "
                'remove the others'
            )
    return names


def _find_image(root: Path, name: str) -> Path:
    for suffix in _SUFFIXES:
        for end in (suffix, suffix.upper(), suffix.title()):
            path = root / 'JPEGImages' / f'{name}{end}'
            if path.is_file():
                return path
    raise DataError(
        f"'{root / 'JPEGImages' / name}.jpg' does not exist (nor "
        f'{", ".join(_SUFFIXES[1:])}); a split lists it; add it or change the split'
    )


def _image_size(path: Path, xml_path: Path, tree: ET.Element, report: SplitReport) -> tuple:
    """Return width and height of the image file; report other sizes in the xml."""
    image = read_with_opencv(path)
    if image is None:
        raise DataError(f"'{path}' cannot be read as an image; replace it")
    height, width = image.shape[:2]
    size = tree.find('size')
    if size is None:
        report.sizes.append(f'{xml_path.name}: no size; the image has {width} x {height}')
    else:
        stated = _number(size, 'width', xml_path), _number(size, 'height', xml_path)
        if stated != (width, height):
            report.sizes.append(
                f'{xml_path.name}: {stated[0]} x {stated[1]} stated; '
                f'the image has {width} x {height}'
            )
    return width, height


def _read_box(item: ET.Element, path: Path, width: int, height: int) -> tuple:
    """Return corners x1, y1, x2, y2, counted from 0, before and after clipping."""
    node = item.find('bndbox')
    if node is None:
        raise DataError(f"'{path}': <object> has no <bndbox>; add it")
    box = [_number(node, tag, path) - 1 for tag in ('xmin', 'ymin', 'xmax', 'ymax')]
    limits = (width, height, width, height)
    return box, [min(max(value, 0), limit) for value, limit in zip(box, limits, strict=True)]


def _annotations(
    tree: ET.Element, path: Path, image: dict, classes, difficult: str, report: SplitReport
) -> list:
    annotations = []
    for item in tree.iter('object'):
        name = _text(item, 'name', path)
        if name not in classes:
            raise DataError(
                f"'{path}': class {name!r} is not one of {', '.join(classes)}; give "
                'all classes or none'
            )
        hard = item.find('difficult') is not None and _number(item, 'difficult', path) != 0
        report.difficult += hard
        if hard and difficult == 'drop':
            continue
        box, clipped = _read_box(item, path, image['width'], image['height'])
        x1, y1, x2, y2 = clipped
        line = f'{path.name}: {name} {tuple(value + 1 for value in box)}'
        if x2 <= x1 or y2 <= y1:
            report.dropped.append(line)
            continue
        if box != clipped:
            report.clipped.append(line)
        report.boxes[name] += 1
        annotations.append(
            dict(
                image_id=image['id'],
                category_id=classes.index(name) + 1,
                bbox=[x1, y1, x2 - x1, y2 - y1],
                area=(x2 - x1) * (y2 - y1),
                iscrowd=int(hard and difficult == 'ignore'),
            )
        )
    if not annotations:
        report.empty.append(image['file_name'])
    return annotations


def find_classes(root, splits) -> list:
    """Return the sorted names of all classes in the splits.

    Raises:
        DataError: A file is missing or not readable, or there are no objects.
    """
    root = Path(root)
    names = {name for split in splits for name in read_split(root, split)}
    found: set[str] = set()
    for name in names:
        path = root / 'Annotations' / f'{name}.xml'
        found.update(_text(item, 'name', path) for item in read_xml(path).iter('object'))
    if not found:
        raise DataError(
            f"'{root / 'Annotations'}' has no objects in the splits "
            f'{", ".join(splits)}; give other splits'
        )
    return sorted(found)


def convert_split(root, split: str, classes, difficult: str = 'ignore', advance=None) -> tuple:
    """Convert one split.

    Args:
        root (str | Path): Folder with ``Annotations``, ``JPEGImages`` and ``ImageSets/Main``.
        split (str): Name of the split.
        classes (Sequence[str]): Class names in the order of category ids, which start at 1.
        difficult (str): Treatment of objects marked difficult: 'ignore' writes them with
            ``iscrowd`` 1 (neither training targets nor errors), 'keep' writes them like others,
            'drop' drops them.
        advance (Callable, optional): Called after each image.

    Returns:
        tuple[dict, SplitReport]: Content of the COCO json, with ``file_name`` relative to
        ``JPEGImages``, and the report.

    Raises:
        ConfigError: ``difficult`` is unknown.
        DataError: A file is missing or not readable, a class is unknown or a box is not numeric;
            the message names the file.
    """
    if difficult not in DIFFICULT:
        raise ConfigError(
            f'convert_split: difficult={difficult!r} is unknown; use one of {", ".join(DIFFICULT)}'
        )
    root, classes, report = Path(root), list(classes), SplitReport(split)
    images: list[dict] = []
    annotations: list[dict] = []
    for name in read_split(root, split):
        xml_path = root / 'Annotations' / f'{name}.xml'
        tree, path = read_xml(xml_path), _find_image(root, name)
        width, height = _image_size(path, xml_path, tree, report)
        images.append(dict(id=len(images) + 1, file_name=path.name, width=width, height=height))
        for annotation in _annotations(tree, xml_path, images[-1], classes, difficult, report):
            annotations.append(dict(id=len(annotations) + 1, **annotation))
        if advance is not None:
            advance()
    report.images = len(images)
    categories = [dict(id=number, name=name) for number, name in enumerate(classes, start=1)]
    return dict(images=images, annotations=annotations, categories=categories), report


def _differs(path: Path, content: dict) -> bool:
    """Return whether a file exists with other content."""
    if not path.exists():
        return False
    try:
        return read_json(path) != content
    except ValueError:
        return True


def convert(
    root,
    out,
    splits=None,
    classes=None,
    difficult: str = 'ignore',
    force: bool = False,
    progress: bool = True,
) -> list:
    """Write one COCO json per split to ``out``; ``root`` is not changed.

    Args:
        root (str | Path): Folder with ``Annotations``, ``JPEGImages`` and ``ImageSets/Main``.
        out (str | Path): Folder for ``<split>.json``.
        splits (Sequence[str], optional): Splits; default: the existing ones of train, val, trainval
            and test.
        classes (Sequence[str], optional): Class names in order; default: all, sorted.
        difficult (str): Treatment of difficult objects: 'ignore', 'keep' or 'drop'; see
            ``convert_split``.
        force (bool): Whether to replace json files with other content.
        progress (bool): Whether to show a progress bar.

    Returns:
        list[SplitReport]: One report per split.

    Raises:
        ConfigError: A class is given twice, or ``difficult`` is unknown.
        DataError: Input files are not valid, or an output file exists with other content and
            ``force`` is False; no file was changed.
    """
    root, out = Path(root), Path(out)
    if not splits:
        splits = [name for name in SPLITS if (root / 'ImageSets' / 'Main' / f'{name}.txt').exists()]
        if not splits:
            raise DataError(
                f"'{root}' has none of ImageSets/Main/{{{','.join(SPLITS)}}}.txt; give "
                'the folder that contains ImageSets'
            )
    if classes and len(set(classes)) != len(classes):
        raise ConfigError(f'convert: classes {", ".join(classes)} contain a name twice; remove one')
    classes = classes or find_classes(root, splits)
    total = sum(len(read_split(root, split)) for split in splits)
    with progress_bar(total, progress) as advance:
        converted = [convert_split(root, split, classes, difficult, advance) for split in splits]
    paths = [out / f'{split}.json' for split in splits]
    if not force:
        for path, (content, _) in zip(paths, converted, strict=True):
            if _differs(path, content):
                raise DataError(f"'{path}' exists with other content; move it or pass --force")
    for path, (content, _) in zip(paths, converted, strict=True):
        write_json(path, content)
    return [report for _, report in converted]
