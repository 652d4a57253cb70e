"""Finding the complete checkpoints of a run."""

import os
import re
import zipfile
from pathlib import Path

import torch

from .finite import non_finite

POINTER = 'last_checkpoint'
# Begin of files that are often saved under the name of a checkpoint.
_FOREIGN = (
    (
        (b'version https://git-lfs',),
        'is a Git LFS pointer, not the file that it stands for; fetch that with `git lfs pull`',
    ),
    (
        (b'<!doctype', b'<html', b'<head', b'<body', b'<script'),
        'is a web page (HTML), not a checkpoint; download the file itself, not the page about it',
    ),
    (
        (b'<?xml', b'<error'),
        'is XML, such as the error of a server, not a checkpoint; download it again',
    ),
    (
        (b'\x1f\x8b', b'BZh', b'7z\xbc\xaf', b'\xfd7zXZ', b'Rar!'),
        'is a compressed archive; unpack it and give the checkpoint inside',
    ),
)
_NAME = re.compile(r'(epoch|iter)_(\d+)\.pth')


def is_complete(path) -> bool:
    """Return whether a file is a complete checkpoint, without reading its weights.

    Files of ``torch.save`` end with a table of contents, which truncated files lack.
    """
    try:
        return os.path.isfile(path) and zipfile.is_zipfile(path)
    except OSError:
        return False


def foreign_content(path) -> str | None:
    """Return what a file is instead of a checkpoint, and what to do; None if it is none of these.

    Recognised are web pages, pointers of Git LFS, XML, archives, safetensors, other text, and empty
    files.

    Args:
        path (str | Path): A file.
    """
    with open(path, 'rb') as file:
        begin = file.read(512)
    if not begin:
        return 'is empty; copy or download it again'
    text = begin.removeprefix(b'\xef\xbb\xbf').lstrip()
    for prefixes, fault in _FOREIGN:
        # The case of tags is free.
        if text.startswith(prefixes) or text.lower().startswith(prefixes):
            return fault
    if begin[8:10] == b'{"' and int.from_bytes(begin[:8], 'little') < os.path.getsize(path):
        return 'is in the format safetensors, which is not read; save its tensors with torch.save'
    # A character may be cut at the end.
    shown = begin.decode('utf-8', 'ignore')
    if len(shown.encode()) > len(begin) - 4 and all(c.isprintable() or c.isspace() for c in shown):
        return f'is a text that begins with {shown.split(chr(10))[0][:40]!r}, not a checkpoint'
    return None


def damaged_record(path) -> str | None:
    """Return the first record of a checkpoint whose checksum is wrong, or None.

    ``torch.save`` stores a checksum (CRC-32) of each record, which ``torch.load`` does not compare.
    Files whose checksums are all wrong were written without them
    (``torch.serialization.set_crc32_options``); those in the old format have none.

    Args:
        path (str | Path): A file.
    """
    if not zipfile.is_zipfile(path):
        return None
    bad, good = [], 0
    with zipfile.ZipFile(path) as archive:
        for record in archive.infolist():
            try:
                with archive.open(record) as file:
                    while file.read(2**20):
                        pass
                good += record.file_size > 0
            except (zipfile.BadZipFile, EOFError, NotImplementedError):
                bad.append(record.filename)
    return bad[0] if bad and good else None


def _step(path) -> tuple[str, int]:
    """Return kind and number of a checkpoint's name, ``('epoch', 3)``; ``('', 0)`` of others."""
    match = _NAME.fullmatch(Path(path).name)
    return (match[1], int(match[2])) if match else ('', 0)


def latest_checkpoint(work_dir) -> str | None:
    """Return the checkpoint from which ``--resume`` resumes, or None if there is none.

    This is the checkpoint named in the file ``last_checkpoint``, also if the folder was moved; or a
    later one of the run, if the run stopped after writing it and before updating that file. If
    ``last_checkpoint`` is missing or names no complete checkpoint, it is the most recent complete
    checkpoint of the folder.

    Args:
        work_dir (str | Path): Folder of a run.
    """
    folder = Path(work_dir)
    pointer = folder / POINTER
    try:
        named, written = pointer.read_text().strip(), pointer.stat().st_mtime_ns
    except (OSError, UnicodeDecodeError):
        named, written = '', 0
    # mmengine handles remote storage and the folders that deepspeed writes.
    if '://' in named or (named and os.path.isdir(named)):
        return named
    pointed = next(
        (str(path) for path in (named, folder / Path(named).name) if named and is_complete(path)),
        None,
    )
    candidates = sorted(
        (path for path in folder.glob('*.pth') if _step(path)[0]),
        key=lambda path: (path.stat().st_mtime_ns, _step(path)),
        reverse=True,
    )
    if pointed is not None:
        kind, step = _step(pointed)
        candidates = [
            path
            for path in candidates
            if _step(path)[0] == kind
            and _step(path)[1] > step
            and path.stat().st_mtime_ns > written
        ]
    return next((str(path) for path in candidates if is_complete(path)), pointed)


def last_finite_checkpoint(work_dir, names) -> str | None:
    """Return the most recent complete checkpoint of a folder without NaN or infinite weights.

    Args:
        work_dir (str | Path): Folder of a run.
        names (Collection[str]): Names of the weights to check.
    """
    paths = [path for path in Path(work_dir).glob('*.pth') if _step(path)[0] and is_complete(path)]
    for path in sorted(paths, key=lambda path: path.stat().st_mtime_ns, reverse=True):
        try:
            checkpoint = torch.load(path, map_location='cpu', weights_only=True)
            state = checkpoint['state_dict'].items()
        except Exception:  # Damaged or of another program: not the one to go on from.
            continue
        if not non_finite((name, value) for name, value in state if name in names):
            return str(path)
    return None
