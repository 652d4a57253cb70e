"""Data sets of salient object detection, from folders or lists of images and masks."""

import os
import os.path as osp
import re
from collections.abc import Sequence

from mmengine.dataset import BaseDataset

from mmkd_sod.errors import ConfigError, DataError
from mmkd_sod.registry import DATASETS
from mmkd_sod.utils.files import is_hidden, read_bytes
from mmkd_sod.utils.image_lists import unlisted
from mmkd_sod.utils.images import IMAGE_SUFFIXES
from mmkd_sod.utils.mask_kinds import MaskRule

from .mask_rule import decide

_MASK_SUFFIXES = ('.png', '.bmp', '.jpg', '.jpeg', '.tif', '.tiff')


def inside(name: str, source: str) -> str:
    """Return a normalised relative path of a list file.

    Raises:
        DataError: The path is absolute or leaves the data folder.
    """
    path = osp.normpath(name.replace('\\', '/'))
    if osp.isabs(path) or path.split('/')[0] == '..':
        raise DataError(
            f"{source}: '{name}' is outside of the data folder; list paths relative to that folder"
        )
    return path


@DATASETS.register_module()
class SODDataset(BaseDataset):
    """Images with saliency masks.

    Images and masks are matched by name without suffix; formats may be mixed. Without ``ann_file``
    the set contains all images of the folder, sorted by name. The classes are ``background`` and
    ``salient``.

    Args:
        data_root (str): Root folder.
        data_prefix (dict): ``img_path`` and ``seg_map_path``, folders below the root; without
            ``seg_map_path`` there are no masks. Both may be the same folder.
        ann_file (str): List of images, one per line: a name with or without suffix, or image and
            mask separated by spaces, each relative to its folder. Empty lines and lines that start
            with ``#`` are skipped. A line that is a JSON string is one path.
        name (str, optional): Name of the set in metrics and messages; default: the last folder of
            the root.
        img_suffix (str | Sequence[str]): Suffixes of images in order of preference.
        seg_map_suffix (str | Sequence[str]): Suffixes of masks in order of preference.
        recursive (bool): Whether to search subfolders.
        mask_values (str | float | dict, optional): What is salient: ``'levels'`` (grey levels,
            above half), ``'nonzero'`` (numbers or colours other than 0 or black), ``'index'`` (the
            same, 255 is ignored), ``'alpha'`` (transparency), the value of full saliency such as
            100, or ``dict(salient=[...], background=[...], ignore=[...])`` of values as stored
            (palette indices, or colours as ``(r, g, b)``); without ``background`` all others are.
            Default: decided once per folder by up to 48 masks and logged; masks that do not fit are
            refused.
        kwargs: Arguments of mmengine's ``BaseDataset``.

    Raises:
        ConfigError: ``name`` is not valid in paths, or ``mask_values`` is not known.
        DataError: A folder or list is missing or empty, an image or mask is missing, a listed path
            is outside of its folder, or it is not clear what is salient in the masks. The message
            names the file.
    """

    METAINFO = dict(classes=('background', 'salient'), palette=[[0, 0, 0], [255, 255, 255]])

    def __init__(
        self,
        data_root: str = '',
        data_prefix: dict = dict(  # noqa: B006
            img_path='image', seg_map_path='mask'
        ),
        ann_file: str = '',
        name: str | None = None,
        img_suffix: str | Sequence[str] = IMAGE_SUFFIXES,
        seg_map_suffix: str | Sequence[str] = _MASK_SUFFIXES,
        recursive: bool = False,
        mask_values: str | float | dict | None = None,
        **kwargs,
    ) -> None:
        self.name = name or osp.basename(osp.abspath(data_root or data_prefix['img_path']))
        if '/' in self.name or '\\' in self.name or self.name in ('', '.', '..'):
            raise ConfigError(
                f"SODDataset: name='{self.name}' is used in names of metrics and "
                'folders; set a name without slashes'
            )
        self.img_suffix = img_suffix
        self.seg_map_suffix = seg_map_suffix
        self.recursive = recursive
        self.mask_values = mask_values
        MaskRule.from_setting(mask_values)
        super().__init__(ann_file=ann_file, data_root=data_root, data_prefix=data_prefix, **kwargs)

    def _index(self, folder: str, suffixes: str | Sequence[str], what: str) -> dict[str, str]:
        """Return the files of a folder by path without suffix, both relative to the folder."""
        suffixes = (suffixes,) if isinstance(suffixes, str) else tuple(suffixes)
        if not osp.isdir(folder):
            raise DataError(
                f"{self.name}: the folder of {what} '{folder}' does not exist; set "
                'data_root and data_prefix'
            )
        found: dict[str, tuple[int, str]] = {}
        for place, folders, files in os.walk(folder):
            folders[:] = [name for name in folders if self.recursive and not is_hidden(name)]
            for file in files:
                relative = osp.relpath(osp.join(place, file), folder)
                for rank, suffix in enumerate(suffixes):
                    if file.lower().endswith(suffix.lower()) and not is_hidden(file):
                        stem = relative[: -len(suffix)]
                        found[stem] = min(found.get(stem, (rank, relative)), (rank, relative))
        return {stem: file for stem, (_, file) in sorted(found.items())}

    def _listed(self) -> list[tuple[str, str | None, str]]:
        """Return image, mask or None, and position for each line of the list."""
        try:
            text = read_bytes(self.ann_file).decode('utf-8-sig')
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, 'strerror', None) or 'not a text file'
            raise DataError(
                f"{self.name}: the list '{self.ann_file}' cannot be read ({reason}); "
                'give a text file with one image per line'
            ) from None
        entries: list[tuple[str, str | None, str]] = []
        for number, line in enumerate(re.split(r'\r\n|\r|\n', text), 1):
            line = line.strip()
            if not line or line.startswith('#'):
                continue
            place = f"list '{self.ann_file}', line {number}"
            quoted = unlisted(line)
            if quoted is not None:
                entries.append((inside(quoted, place), None, place))
                continue
            # A single name may contain spaces; two columns both need suffixes.
            head, _, tail = line.rpartition(' ')
            if (
                head
                and tail.lower().endswith(_MASK_SUFFIXES)
                and head.strip().lower().endswith(IMAGE_SUFFIXES)
            ):
                entries.append((inside(head.strip(), place), inside(tail, place), place))
            else:
                entries.append((inside(line, place), None, place))
        return entries

    def load_data_list(self) -> list[dict]:
        """Match images and masks; called by mmengine.

        Returns:
            list[dict]: ``img_path``, ``img_name``, ``dataset_name``, ``seg_map_path`` and
            ``mask_rule`` if there are masks, and mmseg's keys per image.
        """
        img_dir = self.data_prefix.get('img_path', '')
        mask_dir = self.data_prefix.get('seg_map_path')
        images = self._index(img_dir, self.img_suffix, 'images')
        masks = self._index(mask_dir, self.seg_map_suffix, 'masks') if mask_dir else {}
        files = set(images.values())
        if self.ann_file:
            entries = self._listed()
        else:
            entries = [(file, None, self.name) for file in images.values()]
        if not entries:
            where = self.ann_file or img_dir
            raise DataError(
                f"{self.name}: '{where}' has no images; it needs images with one of "
                f'the suffixes {self.img_suffix}; check data_prefix and img_suffix'
            )
        data_list = []
        for image, mask, place in entries:
            stem = image
            if image not in images:
                stem = osp.splitext(image)[0]
                if image not in files and not osp.isfile(osp.join(img_dir, image)):
                    raise DataError(
                        f"{place}: there is no image '{image}' in '{img_dir}'; add it "
                        'or remove it from the list'
                    )
            else:
                image = images[image]
            # label_map, reduce_zero_label and seg_fields are needed by mmseg's transforms.
            info: dict = dict(
                img_path=osp.join(img_dir, image),
                img_name=stem,
                dataset_name=self.name,
                label_map=None,
                reduce_zero_label=False,
                seg_fields=[],
            )
            if mask_dir:
                mask = mask or masks.get(stem)
                if mask is None or not osp.isfile(osp.join(mask_dir, mask)):
                    wanted = mask or f'{stem}.png'
                    raise DataError(
                        f"{place}: the image '{image}' has no mask in '{mask_dir}'; "
                        f"add '{wanted}' or remove the image from the list"
                    )
                info['seg_map_path'] = osp.join(mask_dir, mask)
            data_list.append(info)
        if mask_dir:
            paths = sorted({info['seg_map_path'] for info in data_list})
            rule = decide(paths, self.name, self.mask_values)
            for info in data_list:
                info['mask_rule'] = rule
        return data_list


@DATASETS.register_module()
class UnlabelledImageDataset(SODDataset):
    """Images without masks, for training on a teacher's maps.

    Args:
        data_root (str): Root folder.
        data_prefix (dict): ``img_path``, a folder below the root; default: the root.
        recursive (bool): Whether to search subfolders.
        kwargs: Arguments of ``SODDataset``, such as ``ann_file``.

    Raises:
        DataError: A folder or list is missing or empty, or a listed image is missing.
    """

    def __init__(
        self,
        data_root: str = '',
        data_prefix: dict = dict(img_path=''),  # noqa: B006
        recursive: bool = True,
        **kwargs,
    ) -> None:
        super().__init__(
            data_root=data_root,
            data_prefix=dict(img_path=data_prefix['img_path']),
            recursive=recursive,
            **kwargs,
        )
