"""Write benchmarks/README.md, its plots and the scores of the model index from the results."""

from pathlib import Path

import metafiles
import plots
from common import RESULTS, load
from sections import SECTIONS

from mmkd_sod.utils.files import atomic_path

HERE = Path(__file__).resolve().parent
HEAD = """# Benchmarks

Gains of distillation, and time and memory of a training step.

    python benchmarks/run.py --list            # names, durations and required data
    python benchmarks/run.py growth gain       # run some; if interrupted, the same command resumes
    python benchmarks/run.py --all

`python benchmarks/make_readme.py` writes this page from `benchmarks/results/*.json`. Every section
names its command and its machine. A ratio of times is a ratio of medians over rounds in which all
variants take turns in one process. The lower bound ("bound") of a training step is the plain
student's step plus the plain teacher's forward pass.
"""


def readme() -> str:
    """The whole page."""
    parts = [HEAD]
    for prefix, section in SECTIONS.items():
        for path in sorted(RESULTS.glob(f'{prefix}_*.json')):
            if path.stem.rsplit('_', 1)[0] == prefix:
                parts.append(section(path.stem, load(path.stem)))
    return '\n'.join(parts)


def main() -> None:
    """Write the page, its plots and the metafiles."""
    plots.draw_all()
    metafiles.write()
    with atomic_path(HERE / 'README.md') as temporary:
        temporary.write_text(readme())


if __name__ == '__main__':
    main()
