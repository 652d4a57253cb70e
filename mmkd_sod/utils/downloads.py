"""Downloading files to a cache: whole or not at all, once per machine, each address for itself."""

import hashlib
import http.client
import os
import platform
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from mmkd_sod.errors import CheckpointError

from .locks import exclusive
from .progress import progress_bar

ATTEMPTS = 4
# Seconds without a byte after which a connection counts as broken.
TIMEOUT = 60
_CHUNK = 2**20
# As in resnet50-0676ba61.pth: the first digits of the SHA-256 of the file.
_HASH = re.compile(r'-([0-9a-f]{8,64})\.[^.]+$')


def file_sha256(path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def cached_path(address: str, folder) -> Path:
    """Return where an address is kept: the name of its file and a hash of the whole address."""
    name = Path(urllib.parse.unquote(urllib.parse.urlsplit(address).path)).name or 'download'
    key = hashlib.sha256(address.partition('#')[0].encode()).hexdigest()[:16]
    stem, ending = os.path.splitext(name)
    return Path(folder) / f'{stem[:100]}.{key}{ending[:16]}'


def _by_hash(address: str, folder) -> Path | None:
    """Return a file of torch's cache that has the hash which its name gives, or None."""
    path = Path(folder) / Path(urllib.parse.urlsplit(address).path).name
    given = _HASH.search(path.name)
    if given is None or not path.is_file():
        return None
    return path if file_sha256(path).startswith(given[1]) else None


def fetch(address: str, folder, progress: bool = True) -> Path:
    """Return the local file of an address; download it unless it is in the cache.

    Of several processes on a machine one downloads and the others wait. An interrupted download is
    continued. The file appears under its name when its length is that which the server stated.

    Args:
        address (str): http or https address.
        folder (str | Path): The cache; created.
        progress (bool): Show a bar.

    Returns:
        Path: ``<name>.<hash of the address><ending>``, or ``<name>-<hash>.<ending>`` where another
        program has put a file there whose hash is the one in its name.

    Raises:
        CheckpointError: The address cannot be downloaded; what has arrived is kept.
    """
    path = cached_path(address, folder)
    if path.is_file():
        return path
    if (known := _by_hash(address, folder)) is not None:
        return known
    path.parent.mkdir(parents=True, exist_ok=True)
    # Machines that share the cache have parts of their own: locks may not reach so far.
    part = path.with_name(f'.{path.name}.{platform.node() or "host"}.part')
    with exclusive(part.with_suffix('.lock')):
        if not path.is_file():  # Another process may have fetched it meanwhile.
            _download(address, part, progress)
            os.replace(part, path)
            _tag(part).unlink(missing_ok=True)
    return path


def _tag(part: Path) -> Path:
    """Return the file with the version of the content that a part is of."""
    return part.with_suffix('.tag')


def _download(address: str, part: Path, progress: bool) -> None:
    for attempt in range(ATTEMPTS):
        try:
            return _continue(address, part, progress)
        except urllib.error.HTTPError as error:
            if error.code == 416:  # The part is not of this content.
                part.unlink(missing_ok=True)
            elif error.code < 500 and error.code not in (408, 429):
                raise _failed(address, part, f'HTTP {error.code} {error.reason}') from error
            reason: object = f'HTTP {error.code}'
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, OSError) and error.filename:  # of the disk
                raise
            reason = getattr(error, 'reason', None) or str(error) or type(error).__name__
        if attempt + 1 < ATTEMPTS:
            time.sleep(2.0**attempt / 4)
    raise _failed(address, part, reason)


def _failed(address: str, part: Path, reason) -> CheckpointError:
    size = part.stat().st_size if part.is_file() else 0
    kept = f'; {size} bytes have arrived and are kept for the next attempt' if size else ''
    return CheckpointError(
        f"'{address}' cannot be downloaded ({reason}){kept}; check the address and the network, or "
        'download the file yourself and give its path'
    )


def _continue(address: str, part: Path, progress: bool) -> None:
    """Make one request for what is missing of a part, and check the length."""
    for path in (part, _tag(part)):
        if path.is_symlink():  # It would lead what arrives to another file.
            path.unlink()
    have = part.stat().st_size if part.is_file() else 0
    tag = _tag(part).read_text(encoding='utf-8') if have and _tag(part).is_file() else ''
    headers = {'User-Agent': 'mmkd_sod'}
    if have and tag:
        # The server sends the whole file where it has changed.
        headers.update({'Range': f'bytes={have}-', 'If-Range': tag})
    request = urllib.request.Request(address, headers=headers)
    with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
        if response.status != 206:
            have = 0
        missing = response.headers.get('Content-Length')
        total = None if missing is None else have + int(missing)
        if not have:
            part.unlink(missing_ok=True)
            version = response.headers.get('ETag') or response.headers.get('Last-Modified') or ''
            # Weak tags do not promise equal bytes.
            _tag(part).write_text('' if version.startswith('W/') else version, encoding='utf-8')
        # Written as it arrives, so that a killed process loses nothing.
        with open(part, 'ab', buffering=0) as file, progress_bar(total or 0, progress) as advance:
            while chunk := response.read1(_CHUNK):
                have += file.write(chunk)
                advance(len(chunk))
            os.fsync(file.fileno())
    if total is not None and have != total:
        raise ConnectionError(f'the connection ended after {have} of {total} bytes')
