"""mmengine deletes the files that a resumed checkpoint names.

``CheckpointHook`` takes the path of the best checkpoint so far (``best_ckpt``) and the numbers of
the checkpoints to rotate (``keep_ckpt_ids``) from the resumed checkpoint, and later removes them:
the path as a whole tree where it is a folder, anywhere on the disk. After a resume only names of
this run's own folder are kept, and only where the checkpoint itself is from there.
"""

import functools
import os
from collections.abc import Collection
from pathlib import Path

from mmengine.logging import print_log

from .entry import Entry

_BEST, _KEPT = 'best_ckpt', 'keep_ckpt_ids'


def own_folders(runner) -> set[Path]:
    """Return the folders into which a runner writes checkpoints, links resolved."""
    from mmengine.hooks import CheckpointHook

    work_dir = Path(runner.work_dir).resolve()
    elsewhere = {
        Path(hook.out_dir).resolve() / work_dir.name
        for hook in runner.hooks
        if isinstance(hook, CheckpointHook) and hook.out_dir and '://' not in str(hook.out_dir)
    }
    return {work_dir, *elsewhere}


def own_addresses(runner) -> set[str]:
    """Return the folders in remote storage into which a runner writes checkpoints."""
    from mmengine.hooks import CheckpointHook

    ending = f'/{Path(runner.work_dir).resolve().name}'
    return {
        str(hook.out_dir).rstrip('/').removesuffix(ending) + ending
        for hook in runner.hooks
        if isinstance(hook, CheckpointHook) and '://' in str(hook.out_dir)
    }


def own_best(path, folders: set[Path], addresses: Collection[str] = ()) -> str | None:
    """Return where the best checkpoint of a run is, or None unless it is a file of the run.

    Args:
        path: What a checkpoint says; of a run whose folder was moved, the file's name counts.
        folders (set[Path]): The run's own folders.
        addresses (Collection[str]): The run's own folders in remote storage.
    """
    if not isinstance(path, str) or '\0' in path:
        return None
    name = os.path.basename(path)
    if not (name.startswith('best_') and name.endswith('.pth')):
        return None
    if '://' in path:  # remote storage, which has no links out of its folder
        return path if path.rpartition('/')[0] in addresses else None
    candidates = [path] if Path(path).parent.resolve() in folders else []
    candidates += [str(folder / name) for folder in sorted(folders)]
    return next(
        (found for found in candidates if os.path.exists(found) and not os.path.islink(found)), None
    )


def keep_own_paths(runner, filename) -> None:
    """Drop from a resumed run's state the files that it did not write itself.

    Args:
        runner (Runner): Right after its ``resume``.
        filename (str): The checkpoint that it resumed.
    """
    folders, info = own_folders(runner), runner.message_hub.runtime_info
    addresses = own_addresses(runner)
    ours = (
        str(filename).rpartition('/')[0] in addresses
        if '://' in str(filename)
        else Path(filename).resolve().parent in folders
    )
    for key in [key for key in info if key == _BEST or key.startswith(f'{_BEST}_')]:
        kept = own_best(info[key], folders, addresses) if ours else None
        if kept is None:
            print_log(
                f"'{filename}' names the best checkpoint {info[key]!r}, which is not a file "
                'of this run; it is forgotten, and nothing is removed',
                logger='current',
            )
            del info[key]
        else:
            info[key] = kept
    numbers = info.get(_KEPT)
    if numbers is not None and not (
        ours
        and isinstance(numbers, list)
        and all(type(number) is int and number >= 0 for number in numbers)
    ):
        print_log(
            f"'{filename}' lists checkpoints to rotate that this run did not write; they are kept",
            logger='current',
        )
        del info[_KEPT]


def check_resumed_paths() -> None:
    """Wrap ``resume`` of both runners."""
    from mmengine.runner import FlexibleRunner, Runner

    def checked(original):
        @functools.wraps(original)
        def resume(self, filename, *args, **kwargs):
            original(self, filename, *args, **kwargs)
            keep_own_paths(self, filename)

        return resume

    for runner in (Runner, FlexibleRunner):
        runner.resume = checked(runner.resume)


_PARAMETERS = ('self', 'filename', 'resume_optimizer', 'resume_param_scheduler', 'map_location')

ENTRY = Entry(
    name='resumed_paths',
    packages=('mmengine', 'onedl-mmengine'),
    versions='>=0.10.4,<0.11',
    security=True,
    attributes={
        'mmengine.runner:Runner.resume': _PARAMETERS,
        'mmengine.runner:FlexibleRunner.resume': _PARAMETERS,
    },
    why='mmengine removes files and folders that a resumed checkpoint names',
    until='an mmengine that removes only what the run itself wrote',
    patch=check_resumed_paths,
)
