"""Write an HTML report of finished runs; same as `python -m mmkd_sod report`."""

import mmkd_sod  # noqa: F401  (applies the compatibility patches first)
from mmkd_sod.cli.commands import report
from mmkd_sod.cli.common import run_command

if __name__ == '__main__':
    run_command(report)
