"""A training step of every method with each teacher option, relative to its lower bound.

The options are: the exact teacher, BN folded, the default (folded, and on a CPU backbone and neck
in channels_last), the whole teacher in channels_last, compiled (on a CPU with Winograd's algorithm
in the head, and without it), and bf16 autocast. The lower bound is the plain student's step plus
the plain teacher's forward; with weak labels from files (offline) it is the student's step.
mmrazor's SingleTeacherDistill with the closest loss is timed as well.
"""

import torch
from cells import Cells
from common import parse, parser, ratios, timed
from pairs import PAIRS, TEACHER_OPTIONS, steps

NAMES = ('student', 'teacher', *TEACHER_OPTIONS, 'mmrazor')


def main() -> None:
    """Time each method in turn."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument('--methods', nargs='*', default=list(PAIRS), choices=list(PAIRS))
    args = parse(arguments)

    def measure(method: str) -> dict:
        torch._dynamo.reset()
        bounds = dict.fromkeys(NAMES[2:], ('student', 'teacher'))
        if method == 'weak_label':
            bounds['offline'] = ('student',)
        pair = PAIRS[method]
        made = steps(method, (*NAMES[:2], *bounds), args.device)
        return dict(
            config=pair.config,
            images=pair.images,
            size=list(pair.size),
            closest=pair.closest,
            rounds=args.rounds,
            **timed(made, bounds, args),
        )

    settings = dict(rounds=args.rounds, variants=list(NAMES))
    cells = Cells(f'teacher_options_{args.device}', settings, args.device, args.again)
    cells.measure(args.methods, measure, ratios)


if __name__ == '__main__':
    main()
