"""Reading files, folders, patterns and videos as a stream of named images."""

import glob
import os.path as osp
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mmkd_sod.errors import DataError
from mmkd_sod.utils.files import is_hidden
from mmkd_sod.utils.images import IMAGE_SUFFIXES, read_image

VIDEO_SUFFIXES = ('.mp4', '.avi', '.mov', '.mkv', '.webm', '.mpg', '.mpeg')


@dataclass(frozen=True)
class Source:
    """One input file.

    Attributes:
        path (str): The file.
        name (str): Name of its results, without suffix; unique among the sources.
        frames (int): 0 for an image; the number of frames in the header of a video.
    """

    path: str
    name: str
    frames: int = 0

    @property
    def is_video(self) -> bool:
        """Whether the file is a video."""
        return self.path.lower().endswith(VIDEO_SUFFIXES)


def _expand(entry: str) -> list[tuple[str, str]]:
    """Return the files of one argument with their names relative to its folder."""
    suffixes = (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES)
    if osp.isfile(entry):
        return [(entry, osp.basename(entry))]
    if osp.isdir(entry):
        files = sorted(
            p
            for p in Path(entry).rglob('*')
            if p.name.lower().endswith(suffixes)
            and not is_hidden(p.relative_to(entry))
            and p.is_file()
        )
        return [(str(p), p.relative_to(entry).as_posix()) for p in files]
    # Hidden folders that the pattern itself names are wanted.
    found = sorted(
        p
        for p in glob.glob(entry, recursive=True)
        if osp.isfile(p) and not is_hidden(osp.relpath(p, _stem(entry)))
    )
    return [(p, osp.basename(p)) for p in found]


def _stem(pattern: str) -> str:
    """Return the folders of a pattern before its first wildcard."""
    return osp.dirname(re.split(r'[*?\[]', pattern)[0]) or '.'


def find_sources(entries: Sequence[str]) -> list[Source]:
    """Find images and videos.

    Args:
        entries (Sequence[str]): Files, folders (searched recursively) and patterns such as
            ``'photos/*.jpg'``.

    Returns:
        list[Source]: Sources in the order of ``entries``, sorted by name within each. Equal names
        keep their suffix, and get a number if they are still equal.

    Raises:
        DataError: An entry matches no file.
    """
    found, seen = [], set()
    for entry in entries:
        files = _expand(entry)
        if not files:
            raise DataError(
                f"'{entry}' matches no image or video; give a file, a folder or a pattern"
            )
        for path, name in files:
            if osp.abspath(path) not in seen:
                seen.add(osp.abspath(path))
                found.append((path, name))
    stems = [osp.splitext(name)[0] for _, name in found]
    used: set[str] = set()
    sources = []
    for (path, name), stem in zip(found, stems, strict=True):
        chosen = stem if stems.count(stem) == 1 else name
        number = 2
        while chosen in used:
            chosen, number = f'{name}_{number}', number + 1
        used.add(chosen)
        sources.append(Source(path, chosen, _frame_count(path)))
    return sources


def _open_video(path: str) -> cv2.VideoCapture:
    try:
        path.encode()
    except UnicodeEncodeError:
        raise DataError(
            f'video {path!r} has a name that is not UTF-8, with which OpenCV crashes; rename it'
        ) from None
    return cv2.VideoCapture(path)


def _frame_count(path: str) -> int:
    if not path.lower().endswith(VIDEO_SUFFIXES):
        return 0
    video = _open_video(path)
    frames = int(video.get(cv2.CAP_PROP_FRAME_COUNT)) if video.isOpened() else 0
    video.release()
    return max(frames, 0)


def read_sources(
    sources: Sequence[Source],
    skip: Callable[[str], bool],
    on_error: Callable[[Source, DataError], None],
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield images, and the frames of videos.

    Args:
        sources (Sequence[Source]): From ``find_sources``.
        skip (Callable): Takes the name of a result; True skips it, without reading an image.
        on_error (Callable): Called with each source that cannot be read and its error.

    Yields:
        tuple: Name of the result, ``<video>/<frame number>`` for videos, and image (H, W, 3),
        uint8, BGR.
    """
    for source in sources:
        try:
            if source.is_video:
                yield from _read_video(source, skip)
            elif not skip(source.name):
                yield source.name, read_image(source.path)
        except DataError as error:
            on_error(source, error)


def _read_video(source: Source, skip: Callable[[str], bool]) -> Iterator[tuple[str, np.ndarray]]:
    video, number = _open_video(source.path), 0
    try:
        while video.isOpened():
            success, frame = video.read()
            if not success:
                break
            name = f'{source.name}/{number:06d}'
            number += 1
            if not skip(name):
                yield name, frame
    finally:
        video.release()
    if not number:
        raise DataError(
            f"video '{source.path}' cannot be read by this OpenCV; convert it, or give "
            'its frames as images'
        )
