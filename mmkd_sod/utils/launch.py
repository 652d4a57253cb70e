"""The processes that a launcher started, from the environment alone."""

import os
from dataclasses import dataclass

# torchrun's variables, then those that srun sets for each task (and sbatch for no script).
_LAUNCHERS = (
    ('RANK', 'WORLD_SIZE', 'LOCAL_RANK'),
    ('SLURM_PROCID', 'SLURM_STEP_NUM_TASKS', 'SLURM_LOCALID'),
)


@dataclass(frozen=True)
class Process:
    """A process among those of a launcher.

    Attributes:
        rank (int): Its index.
        world (int): Number of processes.
        local (int): Its index on this machine.
    """

    rank: int = 0
    world: int = 1
    local: int = 0


def launched_process() -> Process:
    """Return this process's place under torchrun or srun; alone without them."""
    for names in _LAUNCHERS:
        rank, world, local = (os.environ.get(name) for name in names)
        if rank is not None and world is not None:
            return Process(int(rank), int(world), int(local or 0))
    return Process()
