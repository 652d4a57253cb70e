"""Results of a benchmark, kept cell by cell, so that a run goes on where it was stopped."""
import os
import sys
import time
from collections.abc import Callable, Iterable

from common import RESULTS, load, machine, save

_TICKS = os.sysconf('SC_CLK_TCK')


def _busy() -> tuple[float, float]:
    """Seconds of processor time that the whole machine, and this program, have spent so far."""
    with open('/proc/stat') as stat:
        user, nice, system, _, _, irq, softirq, *_ = map(int, stat.readline().split()[1:9])
    own = os.times()
    return (user + nice + system + irq + softirq) / _TICKS, sum(own[:4])


class OtherWork:
    """How many processors others kept busy meanwhile; None where /proc does not tell."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        try:
            self._start = _busy()
        except (OSError, ValueError):
            self._start = None

    def processors(self) -> float | None:
        """Mean number of processors that other programs used since this was made."""
        if self._start is None:
            return None
        everyone, own = (now - then for now, then in zip(_busy(), self._start, strict=True))
        return round(max(0., everyone - own) / (time.monotonic() - self._began), 2)


class Cells:
    """The json of a benchmark: settings, machine, and a cell for each thing measured.

    A cell is written as soon as it is measured. A later run with the same settings on the same
    machine keeps the cells that are there; other settings begin anew.

    Args:
        name (str): Name of the json, without suffix.
        settings (dict): What the figures depend on, as json gives it back (lists, no tuples).
        device (str): 'cpu' or 'cuda'.
        again (bool): Measure everything again.
    """

    def __init__(self, name: str, settings: dict, device: str = 'cpu',
                 again: bool = False) -> None:
        self.name = name
        head = dict(machine=machine(device), settings=settings)
        found = load(name) if (RESULTS / f'{name}.json').is_file() and not again else {}
        alike = all(found.get(key) == value for key, value in head.items())
        self.content = dict(head, cells=found['cells'] if alike else {})

    @property
    def cells(self) -> dict:
        """Cells by their keys."""
        return self.content['cells']

    def measure(self, keys: Iterable[str], make: Callable[[str], dict],
                show: Callable[[str, dict], str] | None = None) -> None:
        """Measure the cells that are missing, with progress and the time left.

        Args:
            keys (Iterable[str]): All cells.
            make (Callable): Gives the cell of a key; its values must be json's. What other
                programs did to the machine meanwhile is added as ``other_processors``.
            show (Callable, optional): Gives the line that is printed for a cell.
        """
        keys = list(keys)
        missing = [key for key in keys if key not in self.cells]
        if len(missing) < len(keys):
            print(f'{self.name}: {len(keys) - len(missing)} of {len(keys)} cells are there',
                  file=sys.stderr)
        began = time.monotonic()
        for number, key in enumerate(missing, start=1):
            others = OtherWork()
            cell = make(key)
            self.cells[key] = dict(cell, other_processors=others.processors())
            # In the order of the keys, also where a run filled a gap.
            ordered = [one for one in keys if one in self.cells]
            rest = [one for one in self.cells if one not in ordered]
            self.content['cells'] = {one: self.cells[one] for one in (*ordered, *rest)}
            save(self.name, self.content)
            left = (time.monotonic() - began) / number * (len(missing) - number)
            print(f'[{number}/{len(missing)}] {self.name} {key}: '
                  f'{show(key, cell) if show else "done"}; {left / 60:.1f} min left', flush=True)
