"""Results of a benchmark, saved cell by cell, so that an interrupted run can resume."""

import os
import sys
import time
from collections.abc import Callable, Iterable

from common import RESULTS, load, machine, save

_TICKS = os.sysconf('SC_CLK_TCK')


def _busy() -> tuple[float, float]:
    """Return the processor seconds used so far by the whole machine and by this program."""
    with open('/proc/stat') as stat:
        user, nice, system, _, _, irq, softirq, *_ = map(int, stat.readline().split()[1:9])
    own = os.times()
    return (user + nice + system + irq + softirq) / _TICKS, sum(own[:4])


class OtherWork:
    """Measures how many processors other programs kept busy; needs /proc."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        try:
            self._start = _busy()
        except (OSError, ValueError):
            self._start = None

    def processors(self) -> float | None:
        """Return the mean number of processors used by other programs since construction.

        None without /proc.
        """
        if self._start is None:
            return None
        everyone, own = (now - then for now, then in zip(_busy(), self._start, strict=True))
        return round(max(0.0, everyone - own) / (time.monotonic() - self._began), 2)


class Cells:
    """The json file of a benchmark: settings, machine, and one cell per measurement.

    A cell is written as soon as it is measured. A later run with the same settings on the same
    machine keeps existing cells; with other settings it starts from scratch.

    Args:
        name (str): Name of the json, without suffix.
        settings (dict): What the figures depend on, as read from json (lists, no tuples).
        device (str): 'cpu' or 'cuda'.
        again (bool): Ignore existing cells.
    """

    def __init__(self, name: str, settings: dict, device: str = 'cpu', again: bool = False) -> None:
        self.name = name
        head = dict(machine=machine(device), settings=settings)
        found = load(name) if (RESULTS / f'{name}.json').is_file() and not again else {}
        alike = all(found.get(key) == value for key, value in head.items())
        self.content = dict(head, cells=found['cells'] if alike else {})

    @property
    def cells(self) -> dict:
        """The cells by key."""
        return self.content['cells']

    def measure(
        self,
        keys: Iterable[str],
        make: Callable[[str], dict],
        show: Callable[[str, dict], str] | None = None,
    ) -> None:
        """Measure the missing cells and print progress and the remaining time.

        Args:
            keys (Iterable[str]): All cells.
            make (Callable): Returns the cell of a key; its values must be valid in json. The load
                from other programs is added as ``other_processors``.
            show (Callable, optional): Returns the line that is printed for a cell.
        """
        keys = list(keys)
        missing = [key for key in keys if key not in self.cells]
        if len(missing) < len(keys):
            print(
                f'{self.name}: {len(keys) - len(missing)} of {len(keys)} cells exist',
                file=sys.stderr,
            )
        began = time.monotonic()
        for number, key in enumerate(missing, start=1):
            others = OtherWork()
            cell = make(key)
            self.cells[key] = dict(cell, other_processors=others.processors())
            # Keep the order of the keys if this run filled a gap.
            ordered = [one for one in keys if one in self.cells]
            rest = [one for one in self.cells if one not in ordered]
            self.content['cells'] = {one: self.cells[one] for one in (*ordered, *rest)}
            save(self.name, self.content)
            left = (time.monotonic() - began) / number * (len(missing) - number)
            print(
                f'[{number}/{len(missing)}] {self.name} {key}: '
                f'{show(key, cell) if show else "done"}; {left / 60:.1f} min left',
                flush=True,
            )
