"""mmcv's operators in plain torch compared with the compiled ones.

Both run below mmcv's own functions, taking turns in one process; NMS alone, the other operators
with their gradients. Then a training step and a test of a small detector. Needs a compiled mmcv.
"""

import copy
import dataclasses
import importlib
from collections.abc import Callable

import torch
from cells import Cells
from common import interleaved, median, parse, parser, ratio_of_medians
from pairs import PAIRS, boxes_batch

from mmkd_sod.compat.mmcv_ops import extension
from mmkd_sod.errors import InstallationError
from mmkd_sod.testing.operators import operators_of, plain_extension

BOXES = 1000, 5000, 20000
# Size of the demo's images: height and width.
BCCD = (240, 320)


def boxes(number: int, size: float, device: str) -> torch.Tensor:
    """Return boxes (number, 4) of sides up to ``size`` in an image of 1333 x 800."""
    corner = torch.rand(number, 2, device=device) * torch.tensor([1333.0, 800.0], device=device)
    return torch.cat([corner, corner + torch.rand(number, 2, device=device) * size + 1], 1)


def nms(number: int, device: str) -> Callable:
    """Return a function that suppresses boxes."""
    module = importlib.import_module('mmcv.ops.nms')
    inputs = boxes(number, 150, device), torch.rand(number, device=device)
    return lambda: module.nms(*inputs, 0.7)


def with_gradients(function: Callable, *inputs: torch.Tensor) -> Callable:
    """Return a function that computes an output and its gradients."""
    leaves = [one.requires_grad_() for one in inputs]
    weighting = torch.randn_like(function(*leaves).detach())

    def step() -> tuple:
        output = function(*leaves)
        return output, *torch.autograd.grad(output, leaves, weighting)

    return step


def roi_align(device: str) -> Callable:
    """Return RoI align of 512 boxes on a map of stride 8."""
    module = importlib.import_module('mmcv.ops.roi_align')
    rois = boxes(512, 224, device)
    rois = torch.cat([torch.arange(512, device=device)[:, None] % 2, rois], 1)
    return with_gradients(
        lambda maps: module.roi_align(maps, rois, 7, 1 / 8, 0),
        torch.randn(2, 256, 100, 168, device=device),
    )


def deformable(modulated: bool, device: str) -> Callable:
    """Return a 3 x 3 deformable convolution from 256 to 256 channels."""
    name = 'modulated_deform_conv' if modulated else 'deform_conv'
    module = importlib.import_module(f'mmcv.ops.{name}')
    maps, kernel, offset, mask = (
        torch.randn(*shape, device=device)
        for shape in ((2, 256, 50, 84), (256, 256, 3, 3), (2, 18, 50, 84), (2, 9, 50, 84))
    )
    if modulated:
        return with_gradients(
            lambda maps, offset, mask, kernel: module.modulated_deform_conv2d(
                maps, offset, mask, kernel, None, 1, 1
            ),
            maps,
            offset,
            mask.sigmoid(),
            kernel * 0.02,
        )
    return with_gradients(
        lambda *args: module.deform_conv2d(*args, 1, 1), maps, offset, kernel * 0.02
    )


def training(device: str) -> Callable:
    """Return a training step of the BCCD demo's CrossKD, which gives its losses."""
    pair = dataclasses.replace(PAIRS['crosskd'], config='demo/bccd_gfl_crosskd')
    model, data = pair.distilled().to(device).train(), boxes_batch(4, BCCD, classes=3)

    def step() -> list:
        inputs = model.data_preprocessor(copy.deepcopy(data), training=True)
        total, logged = model.parse_losses(model(**inputs, mode='loss'))
        total.backward()
        model.zero_grad()
        return [torch.stack([torch.as_tensor(value) for value in logged.values()]).detach()]

    return step


def testing(device: str) -> Callable:
    """Return a test of 72 images by the BCCD demo's student, without a score threshold.

    With random weights no score passes the config's threshold. Without one, NMS gets more boxes
    than that of a trained student.
    """
    pair = dataclasses.replace(PAIRS['crosskd'], config='demo/bccd_gfl_crosskd')
    model = pair.student().to(device).eval()
    model.bbox_head.test_cfg.score_thr = 0.0
    data = [boxes_batch(1, BCCD, classes=3) for _ in range(72)]

    def test() -> list:
        found = [model.test_step(copy.deepcopy(batch))[0].pred_instances for batch in data]
        return [torch.cat([one[key] for one in found]) for key in ('bboxes', 'scores')]

    return test


def difference(mine: torch.Tensor, other: torch.Tensor) -> float:
    """Return the largest difference over the largest magnitude."""
    return float((mine.double() - other.double()).abs().max() / other.double().abs().max())


def main() -> None:
    """Time all operators."""
    args = parse(parser(__doc__.splitlines()[0]))
    if extension.operators_in_use() != 'compiled':
        raise InstallationError(
            'mmcv has no compiled operators here; this benchmark compares with them; '
            f'{extension.REMEDY}'
        )
    extensions = dict(plain=plain_extension(), compiled=importlib.import_module('mmcv._ext'))
    made = {
        f'nms, {number} boxes': lambda number=number: nms(number, args.device) for number in BOXES
    }
    made['roi_align, 512 boxes'] = lambda: roi_align(args.device)
    made['deform_conv, 256 channels'] = lambda: deformable(False, args.device)
    made['modulated_deform_conv, 256 channels'] = lambda: deformable(True, args.device)
    made['training step of the BCCD demo'] = lambda: training(args.device)
    made['test of 72 images of the BCCD demo'] = lambda: testing(args.device)

    def measure(name: str) -> dict:
        torch.manual_seed(0)
        function, results = made[name](), {}

        def variant(key: str) -> Callable[[], None]:
            def run() -> None:
                with operators_of(extensions[key]):
                    results[key] = function()

            return run

        seconds = interleaved(
            {key: variant(key) for key in extensions}, args.rounds, args.warmup, args.device
        )
        return dict(
            seconds={key: median(values) for key, values in seconds.items()},
            over_compiled=ratio_of_medians(seconds, 'plain', 'compiled'),
            results_differ_by=max(
                difference(mine.detach(), other.detach())
                for mine, other in zip(results['plain'], results['compiled'], strict=True)
            ),
        )

    Cells(f'mmcv_ops_{args.device}', dict(rounds=args.rounds), args.device, args.again).measure(
        made, measure, lambda _, cell: f'{cell["over_compiled"]:.3f} of the compiled time'
    )


if __name__ == '__main__':
    main()
