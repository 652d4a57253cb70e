"""Check a config before a long run; same as `python -m mmkd_sod doctor`."""

from mmkd_sod.cli.commands import doctor
from mmkd_sod.cli.common import run_command

if __name__ == '__main__':
    run_command(doctor)
