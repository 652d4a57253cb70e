"""Feed mutated files of one kind to its loaders, and print what became of each as JSON lines.

python -m tests.test_fuzz.feed KIND SEED COUNT FOLDER
"""

import faulthandler
import json
import os
import random
import resource
import shutil
import sys
import sysconfig
import time
import traceback
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import PIL.Image

from mmkd_sod.cli.errors import explained
from mmkd_sod.errors import UserError
from tests.conftest import ROOT
from tests.test_fuzz.originals import KINDS

_STARTS = ('os.system', 'os.exec', 'os.posix_spawn', 'os.fork', 'subprocess.Popen', 'os.startfile')
_CHANGES = ('os.remove', 'os.rename', 'os.rmdir', 'os.mkdir', 'os.link', 'os.symlink', 'os.chmod',
            'os.truncate', 'shutil.rmtree')  # fmt: skip
_CODE = tuple(
    str(path) for path in (ROOT, sysconfig.get_path('stdlib'), sysconfig.get_path('purelib'))
)


class Watch:
    """An audit hook that notes code of files, programs, and writes outside of a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.on = os.path.realpath(folder), False
        self.seen: list[str] = []
        sys.addaudithook(self)

    def _outside(self, path) -> bool:
        if isinstance(path, int) or path is None:
            return False
        path = os.path.realpath(os.fsdecode(path))
        return not path.startswith(self.folder) and path != os.devnull

    def __call__(self, event, args):
        if not self.on:
            return
        self.on = False
        try:
            if event == 'exec':
                name = args[0].co_filename
                if not name.startswith(('<frozen', *_CODE)):
                    self.seen.append(f'exec {name}')
            elif event in _STARTS or event.startswith('socket.connect'):
                self.seen.append(f'{event} {args}')
            elif event == 'open' and (args[2] or 0) & (os.O_WRONLY | os.O_RDWR):
                if self._outside(args[0]):
                    self.seen.append(f'writes {args[0]!r}')
            elif event in _CHANGES and self._outside(args[0]):
                self.seen.append(f'{event} {args[0]!r}')
        finally:
            self.on = True


def outcome(load) -> tuple[str, str]:
    """Return 'ok', 'refused' or 'traceback', and the sentence or the last lines."""
    try:
        with (
            open(os.devnull, 'w', errors='replace') as null,
            redirect_stdout(null),
            redirect_stderr(null),
        ):
            load()
    except SystemExit as error:
        return ('refused' if error.code == 2 else 'traceback'), f'exit {error.code}'
    except Exception as error:
        told = explained(error)
        if isinstance(told, UserError):
            return 'refused', str(told)
        return 'traceback', ''.join(traceback.format_exception(error)[-3:])
    return 'ok', ''


def main(name: str, seed: int, count: int, folder: Path) -> None:
    """Mutate and feed."""
    warnings.simplefilter('ignore')
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (24 * 2**30,) * 2)
    kind, rng = KINDS[name], random.Random(f'{name} {seed}')
    original, work = folder / 'original', folder / 'work'
    original.mkdir(parents=True)
    files = [path.relative_to(original) for path in kind.make(original)]
    watch = Watch(work)

    def feed(change) -> dict:
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(original, work)
        path = work / rng.choice(files)
        change(path)
        start = time.monotonic()
        watch.seen, watch.on = [], True
        ended, text = outcome(lambda: kind.load(work, path))
        watch.on = False
        seconds = time.monotonic() - start
        return dict(outcome=ended, text=text, seconds=seconds, seen=watch.seen, file=path.name)

    # What is imported only when it is needed is imported now, Pillow's rare formats included.
    PIL.Image.init()
    for _ in range(2 * len(files)):
        first = feed(lambda path: None)
        assert first['outcome'] == 'ok', first
    for number in range(count):
        # A crash leaves the number of the file that caused it.
        print(json.dumps(dict(number=number)), flush=True)

        def change(path: Path) -> None:
            path.write_bytes(kind.mutate(path.read_bytes(), rng))

        print(json.dumps(feed(change)), flush=True)


if __name__ == '__main__':
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
