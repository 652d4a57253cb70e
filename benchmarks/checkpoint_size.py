"""Size of a checkpoint's weights: plain student, DenseDistill, mmrazor's SingleTeacherDistill.

The state dict that a training saves, without the optimizer's state.
"""

import io

import torch
from cells import Cells
from common import parser
from pairs import PAIRS


def mib(model) -> float:
    """Return the size of a model's saved state dict in MiB."""
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    return round(file.tell() / 2**20, 2)


def measure(method: str) -> dict:
    """Return the sizes of the three checkpoints of a method."""
    pair = PAIRS[method]
    return dict(
        config=pair.config,
        mib={name: mib(getattr(pair, name)()) for name in ('student', 'distilled', 'mmrazor')},
    )


def main() -> None:
    """Measure each method."""
    args = parser(__doc__.splitlines()[0]).parse_args()
    Cells('checkpoint_size_cpu', {}, again=args.again).measure(
        PAIRS, measure, lambda _, cell: str(cell['mib'])
    )


if __name__ == '__main__':
    main()
