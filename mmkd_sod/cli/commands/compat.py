"""List the upstream problems that are patched in memory, and why.

`MMKD_COMPAT_OFF=name,...` in the environment switches entries off.
"""

import json
from dataclasses import dataclass

from mmkd_sod.compat import SWITCH, Outcome, installed_version, outcomes


@dataclass(frozen=True)
class _Row:
    name: str
    package: str
    state: str
    reason: str
    why: str
    until: str


def add_arguments(parser) -> None:
    """Arguments of the command."""
    parser.add_argument('--json', action='store_true', help='print the list as JSON')


def _row(outcome: Outcome) -> _Row:
    entry = outcome.entry
    package = ' '.join(installed_version(entry.packages) or (entry.packages[0], '(missing)'))
    return _Row(entry.name, package, outcome.state, outcome.reason, entry.why, entry.until)


def run(args) -> None:
    """Print one line per entry."""
    rows = [_row(outcome) for outcome in outcomes(import_all=True)]
    if args.json:
        print(json.dumps([vars(row) for row in rows], indent=2))
        return
    name, package = (max(len(getattr(row, key)) for row in rows) for key in ('name', 'package'))
    for row in rows:
        print(f'{row.name:{name}}  {row.package:{package}}  {row.state:7}  {row.reason}')
    print(f'\n{SWITCH}=name,... switches entries off')
