"""CrossKD's training step compared with its lower bound and mmrazor, for the recipe gfl_r18.

Four variants take turns: the plain student's step, the plain teacher's forward, our step, and
mmrazor's SingleTeacherDistill with PKD only. More variants in one process would change the plain
teacher's time by a few per cent. Our step runs with the default teacher options, then with
``teacher_compile=True``. Peak memory is measured in separate processes.
"""

import torch
from cells import Cells
from common import parse, parser, ratios, timed
from pairs import PAIRS, steps
from peak_memory import peak_of

from mmkd_sod.models.builder import build_model

METHOD = 'crosskd'
OURS = ('default', 'compiled')
MEMORY = dict(student='student', teacher='teacher', default='ours', mmrazor='mmrazor')


def teacher_mib() -> float:
    """Return the size of the teacher's weights in MiB."""
    teacher = build_model(PAIRS[METHOD].recipe().teacher)
    return round(sum(x.numel() * x.element_size() for x in teacher.parameters()) / 2**20, 1)


def main() -> None:
    """Time our step with each option."""
    args = parse(parser(__doc__.splitlines()[0]))
    pair = PAIRS[METHOD]

    def measure(option: str) -> dict:
        torch._dynamo.reset()
        bounds = dict.fromkeys((option, 'mmrazor'), ('student', 'teacher'))
        cell = timed(steps(METHOD, ('student', 'teacher', *bounds), args.device), bounds, args)
        if option == 'default' and args.device == 'cpu':
            cell['peak_mib'] = {name: peak_of(METHOD, variant) for name, variant in MEMORY.items()}
            cell['teacher_weights_mib'] = teacher_mib()
        return cell

    settings = dict(
        rounds=args.rounds,
        config=pair.config,
        images=pair.images,
        size=list(pair.size),
        closest=pair.closest,
    )
    cells = Cells(f'crosskd_step_{args.device}', settings, args.device, args.again)
    cells.measure(OURS, measure, ratios)


if __name__ == '__main__':
    main()
