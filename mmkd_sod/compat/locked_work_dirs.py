"""mmengine lets two trainings write into one ``work_dir``, which mixes their checkpoints.

``train`` of both runners takes the lock of the folder first, whichever program calls it, and
releases it at the end. ``tools/train.py`` takes it earlier, before the run's first file is written.
"""

import functools

from mmkd_sod.utils.run_lock import lock_work_dir, unlock_work_dir

from .entry import Entry


def lock_while_training() -> None:
    """Wrap ``train`` of both runners; the first rank takes the lock."""
    from mmengine.dist import is_main_process
    from mmengine.runner import FlexibleRunner, Runner

    def locked(original):
        @functools.wraps(original)
        def train(self):
            taken = is_main_process() and lock_work_dir(self.work_dir)
            try:
                return original(self)
            finally:
                if taken:
                    unlock_work_dir(self.work_dir)

        return train

    for runner in (Runner, FlexibleRunner):
        runner.train = locked(runner.train)


ENTRY = Entry(
    name='locked_work_dirs',
    packages=('mmengine', 'onedl-mmengine'),
    versions='>=0.10.4,<0.11',
    attributes={
        'mmengine.runner:Runner.train': ('self',),
        'mmengine.runner:FlexibleRunner.train': ('self',),
    },
    why='mmengine mixes the checkpoints of two trainings in one work_dir',
    until='an mmengine that locks the folder of a run',
    patch=lock_while_training,
)
