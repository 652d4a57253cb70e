"""Write benchmarks/README.md and its pictures from the json files in benchmarks/results."""
from pathlib import Path

import plots
from common import RESULTS, load
from sections import SECTIONS

from mmkd_sod.utils.files import atomic_path

HERE = Path(__file__).resolve().parent
HEAD = '''# Benchmarks

    python benchmarks/run.py --list            # what there is, how long it takes, what it needs
    python benchmarks/run.py growth gain       # some of them; stopped and started again, they go on
    python benchmarks/run.py --all

This page is written by `python benchmarks/make_readme.py` from `benchmarks/results/*.json`; what
was not measured yet is left out. Ratios of times are those of medians over rounds in which all
variants took turns in one process. The lower bound of a training step is the plain student's step
plus the plain teacher's forward.
'''


def readme() -> str:
    """The whole page."""
    parts = [HEAD]
    for prefix, section in SECTIONS.items():
        for path in sorted(RESULTS.glob(f'{prefix}_*.json')):
            if path.stem.rsplit('_', 1)[0] == prefix:
                parts.append(section(path.stem, load(path.stem)))
    return '\n'.join(parts)


def main() -> None:
    """Write page and pictures."""
    plots.draw_all()
    with atomic_path(HERE / 'README.md') as temporary:
        temporary.write_text(readme())


if __name__ == '__main__':
    main()
