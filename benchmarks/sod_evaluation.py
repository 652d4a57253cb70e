"""Evaluation of 1,000 saliency maps: SODMetric compared with PySODMetrics in a plain loop.

Both compute MAE, S-measure, weighted F, F and E of the same generated maps. Blocks of 50 take turns
in one process; the largest difference of the scores is recorded.
"""

import cv2
import numpy as np
import py_sod_metrics
import torch
from cells import Cells
from common import interleaved, median, parse, parser, ratio_of_medians

from mmkd_sod.evaluation import SODMetric

BLOCK = 50


def maps(number: int, size: tuple[int, int]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return pairs of a float32 map in [0, 1] and a 0/1 mask: a noisy, blurred ellipse."""
    rng = np.random.default_rng(0)
    made = []
    height, width = size
    for _ in range(number):
        mask = np.zeros(size, np.uint8)
        centre = (int(width * rng.uniform(0.3, 0.7)), int(height * rng.uniform(0.3, 0.7)))
        axes = (int(width * rng.uniform(0.1, 0.3)), int(height * rng.uniform(0.1, 0.3)))
        cv2.ellipse(mask, centre, axes, rng.uniform(0, 180), 0, 360, 1, -1)
        noisy = mask + rng.normal(0, 0.3, size).astype(np.float32)
        made.append((cv2.GaussianBlur(noisy, (0, 0), 5).clip(0, 1), mask))
    return made


def plain_loop() -> dict:
    """Return PySODMetrics' objects, used as in its examples."""
    return dict(
        mae=py_sod_metrics.MAE(),
        sm=py_sod_metrics.Smeasure(),
        wfm=py_sod_metrics.WeightedFmeasure(),
        fm=py_sod_metrics.Fmeasure(),
        em=py_sod_metrics.Emeasure(),
    )


def main() -> None:
    """Time both, block by block."""
    made = parser(__doc__.splitlines()[0])
    made.add_argument('--maps', type=int, default=1000)
    made.add_argument('--size', type=int, nargs=2, default=(300, 400), metavar=('H', 'W'))
    args = parse(made)

    def measure(_: str) -> dict:
        pairs = maps(BLOCK, tuple(args.size))
        samples = [
            dict(
                seg_logits=dict(data=torch.from_numpy(pred)[None]),
                gt_sem_seg=dict(data=torch.from_numpy(mask)[None]),
            )
            for pred, mask in pairs
        ]
        scores = {}

        def ours() -> None:
            metric = SODMetric()
            metric.process({}, samples)
            scores['ours'] = metric.evaluate(len(samples))

        def loop() -> None:
            metrics = plain_loop()
            for pred, mask in pairs:
                grey = (pred * 255 + 0.5).astype(np.uint8)
                for metric in metrics.values():
                    metric.step(pred=grey, gt=mask * 255)
            found = {name: metric.get_results()[name] for name, metric in metrics.items()}
            scores['loop'] = {
                'sod/MAE': found['mae'],
                'sod/Smeasure': found['sm'],
                'sod/wFmeasure': found['wfm'],
                'sod/maxFm': found['fm']['curve'].max(),
                'sod/maxEm': found['em']['curve'].max(),
            }

        blocks = args.maps // BLOCK
        seconds = interleaved(dict(ours=ours, loop=loop), blocks, 1)
        apart = max(
            abs(float(value) - scores['ours'][name]) for name, value in scores['loop'].items()
        )
        return dict(
            maps=blocks * BLOCK,
            seconds={name: round(median(values) * blocks, 2) for name, values in seconds.items()},
            over_loop=ratio_of_medians(seconds, 'ours', 'loop'),
            scores_differ_by=apart,
        )

    Cells(
        'sod_evaluation_cpu', dict(maps=args.maps, size=list(args.size)), again=args.again
    ).measure(('SODMetric',), measure, lambda _, cell: str(cell))


if __name__ == '__main__':
    main()
