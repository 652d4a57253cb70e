"""Metrics of salient object detection, computed by PySODMetrics."""

import os.path as osp
import warnings
from collections.abc import Sequence

import numpy as np
import py_sod_metrics
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from torch import Tensor

from mmkd_sod.errors import ConfigError, DataError
from mmkd_sod.registry import METRICS
from mmkd_sod.utils.files import refuse_links
from mmkd_sod.utils.images import write_png


def to_uint8(saliency: Tensor) -> np.ndarray:
    """Convert a map in [0, 1] to the grey levels that are saved and evaluated, rounding 0.5 up."""
    return (saliency.float().clamp(0, 1) * 255 + 0.5).byte().cpu().numpy()


def image_scores(pred: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
    """Return the scores of one map.

    Args:
        pred (np.ndarray): (H, W), uint8 grey levels.
        truth (np.ndarray): (H, W), uint8, 0 or 255.

    Returns:
        dict: ``MAE``, ``Smeasure``, ``wFmeasure``, ``adpFm``, ``adpEm`` and the curves ``Fm``,
        ``Em`` over 256 thresholds, all in [0, 1].
    """
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # Fmeasure is deprecated for a class with equal results.
        metrics = dict(
            mae=py_sod_metrics.MAE(),
            sm=py_sod_metrics.Smeasure(),
            wfm=py_sod_metrics.WeightedFmeasure(),
            fm=py_sod_metrics.Fmeasure(),
            em=py_sod_metrics.Emeasure(),
        )
    for metric in metrics.values():
        metric.step(pred=pred, gt=truth)
    fm, em = metrics['fm'].get_results()['fm'], metrics['em'].get_results()['em']
    return dict(
        MAE=metrics['mae'].get_results()['mae'],
        Smeasure=metrics['sm'].get_results()['sm'],
        wFmeasure=metrics['wfm'].get_results()['wfm'],
        adpFm=fm['adp'],
        Fm=fm['curve'],
        adpEm=em['adp'],
        Em=em['curve'],
    )


def set_scores(images: Sequence[dict]) -> dict[str, float]:
    """Return the scores of a data set: means over images, of curves also mean and maximum.

    Args:
        images (Sequence[dict]): Results of ``image_scores``.

    Returns:
        dict: ``MAE``, ``Smeasure``, ``wFmeasure`` and ``max``, ``mean``, ``adp`` of ``Fm``, ``Em``.
    """
    mean = {name: np.mean([image[name] for image in images], axis=0) for name in images[0]}
    scores = {name: float(mean[name]) for name in ('MAE', 'Smeasure', 'wFmeasure')}
    for name in ('Fm', 'Em'):
        scores |= {
            f'max{name}': float(mean[name].max()),
            f'mean{name}': float(mean[name].mean()),
            f'adp{name}': float(mean[f'adp{name}']),
        }
    return scores


@METRICS.register_module()
class SODMetric(BaseMetric):
    """MAE, S-measure, weighted F, and maximal, mean and adaptive F and E of saliency maps.

    Maps are rounded to 256 grey levels at the size of the image and evaluated by PySODMetrics,
    which normalises each map to its full range, thresholds masks above 128, uses beta squared 0.3
    for F, and defines scores of empty masks. All scores are in [0, 1]; lower is better for ``MAE``,
    higher for the others. mmengine cannot infer this: set ``save_best='sod/MAE', rule='less'`` or
    ``save_best='sod/Smeasure', rule='greater'``.

    Scores are ``sod/MAE``, ``sod/Smeasure``, ``sod/wFmeasure``, ``sod/maxFm``, ``sod/meanFm``,
    ``sod/adpFm``, ``sod/maxEm``, ``sod/meanEm``, ``sod/adpEm``. With several data sets (mmengine's
    ``ConcatDataset`` of ``SODDataset``) each set also has its own scores, such as
    ``sod/ECSSD/MAE``, and those without a set are the means over sets.

    Args:
        out_dir (str, optional): Folder in which to save maps as ``<set>/<image>.png``, 8-bit.
        format_only (bool): Only save maps; for images without masks.
        prefix (str): Prefix of the scores.
        collect_device (str): Device on which mmengine gathers results, ``'cpu'`` or ``'gpu'``.

    Raises:
        ConfigError: ``format_only`` is True without ``out_dir``.
        DataError: A sample has no mask, or one of another size than its map.
    """

    def __init__(
        self,
        out_dir: str | None = None,
        format_only: bool = False,
        prefix: str = 'sod',
        collect_device: str = 'cpu',
    ) -> None:
        if format_only and out_dir is None:
            raise ConfigError(
                'SODMetric: out_dir=None with format_only=True; saving maps needs a '
                'folder; set out_dir'
            )
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.out_dir = out_dir
        self.format_only = format_only

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Evaluate and save the maps of a batch; called by mmengine.

        Args:
            data_batch (dict): Not used.
            data_samples (Sequence[dict]): Predicted samples of mmseg.
        """
        for sample in data_samples:
            maps = sample['seg_logits']['data']
            # mmseg has applied the sigmoid to one channel, but not the softmax to two.
            pred = to_uint8(maps[0] if maps.shape[0] == 1 else maps.softmax(0)[1])
            dataset = sample.get('dataset_name') or ''
            source = sample.get('img_path') or ''
            name = sample.get('img_name') or osp.splitext(osp.basename(source))[0]
            if self.out_dir is not None:
                path = osp.join(self.out_dir, dataset, f'{name}.png')
                refuse_links(path, self.out_dir)
                write_png(path, pred)
            if self.format_only:
                # mmengine needs one result per sample to gather.
                self.results.append((dataset, None))
                continue
            if 'gt_sem_seg' not in sample:
                raise DataError(
                    f"SODMetric: '{source}' has no mask; scores need one; set "
                    'seg_map_path in its data set, or format_only=True'
                )
            truth = sample['gt_sem_seg']['data'].squeeze(0).cpu().numpy()
            if truth.shape != pred.shape:
                raise DataError(
                    f"SODMetric: the map of '{source}' is {pred.shape}, its mask "
                    f'{truth.shape}; both must have the size of the image; load masks '
                    'after resizing in the test pipeline'
                )
            self.results.append((dataset, image_scores(pred, (truth == 1).astype(np.uint8) * 255)))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Return the scores of all data sets from the gathered results; called by mmengine."""
        if self.format_only:
            print_log(f'maps were saved in {self.out_dir}', logger='current')
            return {}
        sets: dict[str, list] = {}
        for dataset, scores in results:
            sets.setdefault(dataset, []).append(scores)
        by_set = {dataset: set_scores(images) for dataset, images in sets.items()}
        for dataset, scores in by_set.items():
            print_log(
                f'{dataset or "test set"} ({len(sets[dataset])} images): '
                + ', '.join(f'{name} {value:.4f}' for name, value in scores.items()),
                logger='current',
            )
        first = next(iter(by_set.values()))
        metrics = {name: float(np.mean([s[name] for s in by_set.values()])) for name in first}
        if len(by_set) > 1:
            metrics |= {
                f'{dataset}/{name}': value
                for dataset, scores in by_set.items()
                for name, value in scores.items()
            }
        return metrics
