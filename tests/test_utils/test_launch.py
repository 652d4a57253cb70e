"""The place of a process under torchrun and srun."""

import pytest

from mmkd_sod.utils.launch import Process, launched_process

TORCHRUN = dict(RANK='5', WORLD_SIZE='8', LOCAL_RANK='1')
SRUN = dict(SLURM_PROCID='3', SLURM_STEP_NUM_TASKS='4', SLURM_LOCALID='3')
# In a script of sbatch, which starts one process.
SBATCH = dict(SLURM_PROCID='0', SLURM_NTASKS='4', SLURM_LOCALID='0')


@pytest.mark.parametrize(
    ('environment', 'wanted'),
    [
        ({}, Process()),
        (TORCHRUN, Process(5, 8, 1)),
        (SRUN, Process(3, 4, 3)),
        (SRUN | TORCHRUN, Process(5, 8, 1)),
        (SBATCH, Process()),
    ],
)
def test_launched_process(monkeypatch, environment, wanted):
    for name in TORCHRUN | SRUN | SBATCH:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert launched_process() == wanted
