"""`python -m mmkd_sod report` as a tool."""
import mmkd_sod  # noqa: F401  (mends upstream first)
from mmkd_sod.cli.commands import report
from mmkd_sod.cli.common import run_command

if __name__ == '__main__':
    run_command(report)
