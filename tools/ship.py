"""Ship a student; same as `python -m mmkd_sod ship`."""

import mmkd_sod  # noqa: F401  (applies the compatibility patches first)
from mmkd_sod.cli.commands import ship
from mmkd_sod.cli.common import run_command

if __name__ == '__main__':
    run_command(ship)
