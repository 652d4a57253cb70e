"""Forward and backward of CSKD's feature loss, compared with the tests' plain loop over blocks.

The plain version is tests/test_models/test_losses/cskd_oracle.py: it processes one block after the
other with convolutions of torch.nn and HSIC as in the formula. Both take turns in one process; peak
memory is that of a separate process minus that of one which only creates the features.
"""

import runpy
from collections.abc import Callable
from pathlib import Path

import torch
from cells import Cells
from common import (
    interleaved,
    median,
    parse,
    parser,
    peak_memory_mib,
    print_peak_memory,
    ratio_of_medians,
)
from torch import nn

import mmkd_sod  # noqa: F401
from mmkd_sod.models.losses import ChannelSpatialKDLoss
from mmkd_sod.models.losses.position_attention import PROJECTIONS

CHANNELS = dict(student_channels=128, teacher_channels=512)
ORACLE = Path(__file__).resolve().parents[1] / 'tests/test_models/test_losses/cskd_oracle.py'


def plain_convolutions(projection) -> nn.ModuleList | None:
    """Return the same convolutions for the plain version; None if every block draws its own."""
    if projection.mode == 'resampled':
        return None
    return nn.ModuleList([projection.query, projection.key, projection.value])


def variants(mode: str, images: int, size: tuple, device: str) -> dict[str, Callable[[], None]]:
    """Return functions that run one forward and backward pass, by name."""
    plain_losses = runpy.run_path(str(ORACLE))['channel_spatial_losses']
    torch.manual_seed(0)
    loss = ChannelSpatialKDLoss(**CHANNELS, projection=mode).to(device)
    nn.init.constant_(loss.gamma_cam, 0.3)
    nn.init.constant_(loss.gamma_pam, 0.2)
    student = torch.randn(
        images, CHANNELS['student_channels'], *size, device=device, requires_grad=True
    )
    teacher = torch.randn(images, CHANNELS['teacher_channels'], *size, device=device)
    convs = [
        plain_convolutions(projection)
        for projection in (loss.student_projection, loss.teacher_projection)
    ]

    def forget():
        student.grad = None
        loss.zero_grad()

    def ours():
        forget()
        sum(loss(student, teacher).values()).backward()

    def loop():
        forget()
        cam, pam = plain_losses(
            student, teacher, loss.gamma_cam, loss.gamma_pam, loss.tau, loss.grid, *convs
        )
        (loss.cam_weight * cam + loss.pam_weight * pam).backward()

    return dict(ours=ours, loop=loop, features=forget)


def main() -> None:
    """Time both in each mode, then measure the memory of each in a separate process."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument('--images', type=int, default=8)
    arguments.add_argument('--size', type=int, nargs=2, default=(33, 65), metavar=('H', 'W'))
    arguments.add_argument(
        '--memory-of',
        nargs=2,
        metavar=('MODE', 'VARIANT'),
        help='run only this variant and print its peak memory',
    )
    args = parse(arguments)
    if args.memory_of:
        mode, name = args.memory_of
        step = variants(mode, args.images, args.size, args.device)[name]
        for _ in range(3):
            step()
        print_peak_memory()
        return
    settings = dict(
        images=args.images,
        size=list(args.size),
        rounds=args.rounds,
        channels=list(CHANNELS.values()),
    )

    def measure(mode: str) -> dict:
        pair = variants(mode, args.images, args.size, args.device)
        del pair['features']
        seconds = interleaved(pair, args.rounds, args.warmup, args.device)
        found = dict(
            seconds={name: median(values) for name, values in seconds.items()},
            speedup=ratio_of_medians(seconds, 'loop', 'ours'),
        )
        if args.device == 'cpu':
            threads = ('--threads', str(torch.get_num_threads()))
            peak = {
                name: peak_memory_mib(
                    __file__,
                    '--memory-of',
                    mode,
                    name,
                    '--images',
                    str(args.images),
                    '--size',
                    *map(str, args.size),
                    *threads,
                )
                for name in ('features', *pair)
            }
            found['peak_memory_mib'] = {
                name: round(peak[name] - peak['features'], 1) for name in pair
            }
        return found

    Cells(f'cskd_loss_{args.device}', settings, args.device, args.again).measure(
        PROJECTIONS, measure, lambda _, cell: f'{cell["speedup"]:.2f} x faster'
    )


if __name__ == '__main__':
    main()
