"""Print the tables of docs/parity.md and write them there.

Of another folder than the repository's own, which MMKD_GOLDEN names, they are only printed.
"""

import argparse
import logging
import re
from collections.abc import Callable
from itertools import groupby
from pathlib import Path

import torch
from mmengine.logging import MMLogger

from mmkd_sod.utils.files import atomic_path
from tests.conftest import GOLDEN, OWN_GOLDEN, ROOT
from tests.parity import Pair, crosskd, cskd, hkd, rounding, scfnet

PAGE = ROOT / 'docs' / 'parity.md'
# Method, pattern of its cases, what compares one, and whether a teacher runs there.
METHODS = (
    ('CrossKD', 'crosskd_*_idx*.json', crosskd.compare, True),
    ('CSKD', 'cskd_*.json', cskd.compare, False),
    ('SCFNet', 'scfnet_*.json', scfnet.compare, False),
    ('HKDNet', 'hkd_*.json', hkd.compare, False),
)


def largest(pairs: list[Pair]) -> dict[str, tuple[int, float]]:
    """By quantity, how many values there are and the largest difference."""
    ordered = sorted(pairs, key=lambda pair: pair.quantity)
    groups = (
        (quantity, [pair.difference for pair in group])
        for quantity, group in groupby(ordered, lambda pair: pair.quantity)
    )
    return {quantity: (len(values), max(values)) for quantity, values in groups}


def cases(folder: Path = GOLDEN) -> list[tuple[str, Path, Callable, bool]]:
    """All cases of a folder, with what ``METHODS`` says of their method."""
    return [
        (method, path, compare, teacher)
        for method, pattern, compare, teacher in METHODS
        for path in sorted(folder.glob(pattern))
    ]


def released_table() -> list[str]:
    """One row per case and quantity."""
    lines = [
        '| method | case | quantity | values | `teacher_exact=True` | defaults |',
        '| --- | --- | --- | --- | --- | --- |',
    ]
    for method, path, compare, teacher in cases():
        exact = largest(compare(path, teacher_exact=True) if teacher else compare(path))
        accelerated = largest(compare(path)) if teacher else {}
        for quantity, (number, difference) in exact.items():
            default = f'{accelerated[quantity][1]:.1e}' if teacher else 'no teacher runs'
            lines.append(
                f'| {method} | `{path.stem}` | {quantity} | {number} | {difference:.1e} | '
                f'{default} |'
            )
    return lines


def rounding_table() -> list[str]:
    """One row per case of CrossKD, whose detectors are given random weights."""
    kinds = [
        f'{what}, {other}'
        for what in ('losses', 'gradients')
        for other in ('float32', 'accelerated')
    ]
    lines = [
        '| detectors of | pairs | losses: float32 - float64 | losses: defaults - exact '
        '| gradient norms: float32 - float64 | gradient norms: defaults - exact |',
        '| --- | --- | --- | --- | --- | --- |',
    ]
    for method, path, _, _ in cases():
        if method == 'CrossKD':
            found = rounding.summary(path)
            cells = (
                f'{found[f"median, {kind}"]:.1e}, {found[f"largest, {kind}"]:.1e}' for kind in kinds
            )
            lines.append(f'| `{path.stem}` | {found["number"]} | {" | ".join(cells)} |')
    return lines


TABLES = dict(released=released_table, rounding=rounding_table)


def insert(page: str, name: str, lines: list[str]) -> str:
    """The page with another table between the marks of that name."""
    marks = f'<!-- table: {name} -->', '<!-- end of table -->'
    pattern = f'(?<={re.escape(marks[0])}\n).*?(?={re.escape(marks[1])})'
    text, number = re.subn(pattern, '\n'.join(('', *lines, '', '')), page, count=1, flags=re.S)
    assert number == 1, f'{PAGE.name} has no marks of a table {name}'
    return text


def main() -> None:
    """Compute the tables and write or print them."""
    parser = argparse.ArgumentParser(prog='python -m tests.parity', description=__doc__)
    parser.add_argument('--print', action='store_true', help='write nothing')
    args = parser.parse_args()
    torch.set_num_threads(1)
    MMLogger.get_instance('mmengine', log_level=logging.ERROR)
    page = PAGE.read_text()
    for name, table in TABLES.items():
        lines = table()
        print('\n'.join(lines), end='\n\n', flush=True)
        page = insert(page, name, lines)
    if not args.print and GOLDEN == OWN_GOLDEN:
        with atomic_path(PAGE) as temporary:
            temporary.write_text(page)


if __name__ == '__main__':
    main()
