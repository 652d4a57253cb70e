"""Data sets of salient object detection: folders of images and masks, or lists of them."""
import os
import os.path as osp
from collections.abc import Sequence

from mmengine.dataset import BaseDataset

from mmkd_sod.errors import ConfigError, DataError
from mmkd_sod.registry import DATASETS
from mmkd_sod.utils.images import IMAGE_SUFFIXES

_MASK_SUFFIXES = ('.png', '.bmp', '.jpg', '.jpeg', '.tif', '.tiff')


def inside(name: str, source: str) -> str:
    """A relative path of a list file, made plain; refuse one that leaves its folder.

    Raises:
        DataError: The path is absolute or climbs out with ``..``.
    """
    plain = osp.normpath(name.replace('\\', '/'))
    if osp.isabs(plain) or plain.split('/')[0] == '..':
        raise DataError(f"{source}: '{name}' leads out of the data folder; list paths relative to "
                        'it')
    return plain


@DATASETS.register_module()
class SODDataset(BaseDataset):
    """Images, each with a mask of what is salient in it.

    Images and masks are matched by name without suffix, so any mixture of formats will do. Without
    ``ann_file`` all images of the folder are taken, in the order of their names. Classes are
    ``background`` and ``salient``.

    Args:
        data_root (str): Root folder.
        data_prefix (dict): ``img_path`` and ``seg_map_path``, folders below the root; no
            ``seg_map_path`` means no masks. Both may be the same folder.
        ann_file (str): List of images, one a line: a name with or without suffix, or image and mask
            separated by spaces, each relative to its folder. Empty lines and lines that begin with
            ``#`` are skipped.
        name (str, optional): Name of the set in metrics and messages; the root's last part by
            default.
        img_suffix (str | Sequence[str]): Suffixes of images, the preferred first.
        seg_map_suffix (str | Sequence[str]): Suffixes of masks, the preferred first.
        recursive (bool): Look for images in folders below too.
        kwargs: As for mmengine's ``BaseDataset``.

    Raises:
        DataError: A folder or list is missing or empty, a listed image or a mask is missing, or a
            listed path leads out of its folder. The message names the file.
    """

    METAINFO = dict(classes=('background', 'salient'), palette=[[0, 0, 0], [255, 255, 255]])

    def __init__(self, data_root: str = '', data_prefix: dict = dict(  # noqa: B006
                     img_path='image', seg_map_path='mask'),
                 ann_file: str = '', name: str | None = None,
                 img_suffix: str | Sequence[str] = IMAGE_SUFFIXES,
                 seg_map_suffix: str | Sequence[str] = _MASK_SUFFIXES,
                 recursive: bool = False, **kwargs) -> None:
        self.name = name or osp.basename(osp.abspath(data_root or data_prefix['img_path']))
        if '/' in self.name or '\\' in self.name or self.name in ('', '.', '..'):
            raise ConfigError(f"SODDataset: name='{self.name}' becomes a part of metrics and of "
                              'folders; give a plain word without slashes')
        self.img_suffix = img_suffix
        self.seg_map_suffix = seg_map_suffix
        self.recursive = recursive
        super().__init__(ann_file=ann_file, data_root=data_root, data_prefix=data_prefix, **kwargs)

    def _index(self, folder: str, suffixes: str | Sequence[str], what: str) -> dict[str, str]:
        """Files of a folder by their path without suffix, both relative to it."""
        suffixes = (suffixes,) if isinstance(suffixes, str) else tuple(suffixes)
        if not osp.isdir(folder):
            raise DataError(f"{self.name}: the folder of {what} '{folder}' does not exist; set "
                            'data_root and data_prefix')
        found: dict[str, tuple[int, str]] = {}
        for place, folders, files in os.walk(folder):
            if not self.recursive:
                folders.clear()
            for file in files:
                relative = osp.relpath(osp.join(place, file), folder)
                for rank, suffix in enumerate(suffixes):
                    if file.lower().endswith(suffix.lower()) and not file.startswith('.'):
                        stem = relative[:-len(suffix)]
                        found[stem] = min(found.get(stem, (rank, relative)), (rank, relative))
        return {stem: file for stem, (_, file) in sorted(found.items())}

    def _listed(self) -> list[tuple[str, str | None, str]]:
        """Image, mask or None, and the line's place, of every line of the list."""
        try:
            with open(self.ann_file, encoding='utf-8-sig') as file:
                lines = file.read().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, 'strerror', None) or 'it is no text'
            raise DataError(f"{self.name}: the list '{self.ann_file}' cannot be read ({reason}); "
                            'give a text file with one image a line') from None
        entries: list[tuple[str, str | None, str]] = []
        for number, line in enumerate(lines, 1):
            line = line.strip()
            if not line or line.startswith('#'):
                continue
            place = f"list '{self.ann_file}', line {number}"
            # A single name may hold spaces; two columns are what names a mask with its suffix.
            head, _, tail = line.rpartition(' ')
            if head and tail.lower().endswith(_MASK_SUFFIXES) and head.strip().lower().endswith(
                    IMAGE_SUFFIXES):
                entries.append((inside(head.strip(), place), inside(tail, place), place))
            else:
                entries.append((inside(line, place), None, place))
        return entries

    def load_data_list(self) -> list[dict]:
        """Match images and masks; called by mmengine."""
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
            raise DataError(f"{self.name}: '{where}' names no image; look for images ending in one "
                            f'of {self.img_suffix}')
        data_list = []
        for image, mask, place in entries:
            stem = image
            if image not in images:
                stem = osp.splitext(image)[0]
                if image not in files and not osp.isfile(osp.join(img_dir, image)):
                    raise DataError(f"{place}: there is no image '{image}' in '{img_dir}'; add it "
                                    'or take it off the list')
            else:
                image = images[image]
            # What mmseg's transforms ask for stands beside what this project's do.
            info: dict = dict(
                img_path=osp.join(img_dir, image), img_name=stem, dataset_name=self.name,
                label_map=None, reduce_zero_label=False, seg_fields=[])
            if mask_dir:
                mask = mask or masks.get(stem)
                if mask is None or not osp.isfile(osp.join(mask_dir, mask)):
                    wanted = mask or f'{stem}.png'
                    raise DataError(f"{place}: the image '{image}' has no mask in '{mask_dir}'; "
                                    f"add '{wanted}' or take the image off the list")
                info['seg_map_path'] = osp.join(mask_dir, mask)
            data_list.append(info)
        return data_list


@DATASETS.register_module()
class UnlabelledImageDataset(SODDataset):
    """Images without masks, below a folder or in a list: what a teacher labels.

    Args:
        data_root (str): Root folder.
        data_prefix (dict): ``img_path``, below the root; the root itself by default.
        recursive (bool): Look for images in folders below too. Default: True.
        kwargs: As for :class:`SODDataset`.
    """

    def __init__(self, data_root: str = '', data_prefix: dict = dict(img_path=''),  # noqa: B006
                 recursive: bool = True, **kwargs) -> None:
        super().__init__(data_root=data_root, data_prefix=dict(img_path=data_prefix['img_path']),
                         recursive=recursive, **kwargs)
