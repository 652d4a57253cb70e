"""Peak memory of a training step of every method compared with its lower bound.

Each variant runs two steps in a separate process. The bound is one process that holds the plain
student and the plain teacher and alternates the student's step and the teacher's forward.
"""

import torch
from cells import Cells
from common import parse, parser, peak_memory_mib, print_peak_memory
from pairs import PAIRS, steps

VARIANTS = dict(
    student=('student',),
    teacher=('teacher',),
    bound=('teacher', 'student'),
    ours=('default',),
    mmrazor=('mmrazor',),
)


def peak_of(method: str, variant: str) -> float:
    """Return the peak memory in MiB of a variant of a method in a separate process."""
    return peak_memory_mib(
        __file__, '--memory-of', method, variant, '--threads', str(torch.get_num_threads())
    )


def main() -> None:
    """Measure each variant of each method."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument(
        '--memory-of',
        nargs=2,
        metavar=('METHOD', 'VARIANT'),
        help='run only this variant and print its peak memory in MiB',
    )
    args = parse(arguments)
    if args.memory_of:
        method, variant = args.memory_of
        made = steps(method, VARIANTS[variant], 'cpu')
        for _ in range(2):
            for step in made.values():
                step()
        print_peak_memory()
        return

    def measure(key: str) -> dict:
        return dict(mib=peak_of(*key.split()))

    cells = Cells('peak_memory_cpu', dict(variants=list(VARIANTS)), again=args.again)
    cells.measure(
        [f'{method} {variant}' for method in PAIRS for variant in VARIANTS],
        measure,
        lambda _, cell: f'{cell["mib"]:.0f} MiB',
    )


if __name__ == '__main__':
    main()
