"""Hook that refuses label maps whose values are no classes."""

import sys
from collections.abc import Iterator

from mmengine.hooks import Hook
from mmengine.model import BaseModel

from mmkd_sod.datasets.label_maps import examine_label_maps
from mmkd_sod.errors import DataError
from mmkd_sod.registry import HOOKS


def label_range(model: BaseModel) -> tuple[int, set[int]] | None:
    """Return the number of classes of a segmentor's heads and the values that they ignore.

    None for a model without mmseg's decode heads of classes; those of depth maps ignore nothing.
    """
    if 'mmseg' not in sys.modules:
        return None
    from mmseg.models.decode_heads.decode_head import BaseDecodeHead

    heads = [
        module
        for module in model.modules()
        if isinstance(module, BaseDecodeHead) and hasattr(module, 'ignore_index')
    ]
    if not heads:
        return None
    # One output channel stands for two classes, background and salient.
    classes = min(max(head.num_classes, 2) for head in heads)
    return classes, {head.ignore_index for head in heads}


def _single_sets(dataset) -> Iterator:
    """Yield a data set, or those inside wrappers."""
    if hasattr(dataset, 'datasets'):
        for inner in dataset.datasets:
            yield from _single_sets(inner)
    elif hasattr(dataset, 'dataset'):
        yield from _single_sets(dataset.dataset)
    elif hasattr(dataset, 'get_data_info'):
        yield dataset


@HOOKS.register_module()
class LabelRangeHook(Hook):
    """Stops training at label maps whose values are neither classes nor ignored.

    Up to 50 label maps are read before the first step, and the labels of every batch are compared
    with the number of classes before they reach the loss, which ends with an error of CUDA that
    names no file, or trains on wrong classes. Only segmentors of mmseg are checked.

    ``tools/train.py`` adds this hook to every config; for other tools add it to ``custom_hooks``.

    Raises:
        DataError: Names the first label map with such values, those in colour, and sets in which
            every pixel is ignored.
    """

    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self._range: tuple[int, set[int]] | None = None

    def before_train(self, runner) -> None:
        """Check label maps of the training set."""
        self._range = label_range(runner.model)
        if self._range is None:
            return
        for dataset in _single_sets(runner.train_dataloader.dataset):
            fault = examine_label_maps(dataset).fault(*self._range)
            if fault:
                raise DataError(f'train_dataloader: {fault}')

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """Check the labels of a batch."""
        samples = data_batch.get('data_samples') if isinstance(data_batch, dict) else None
        if self._range is None or not samples:
            return
        classes, ignored = self._range
        for sample in samples:
            if 'gt_sem_seg' not in sample:
                continue
            labels = sample.gt_sem_seg.data
            # Labels are still in the memory of the host, as the loader returned them.
            if labels.is_floating_point() or labels.is_cuda or not labels.numel():
                continue
            # In numpy, without torch's threads, which the step needs.
            values = labels.numpy()
            wrong = (values < 0) | (values >= classes)
            for value in ignored:
                wrong &= values != value
            if wrong.any():
                raise DataError(
                    f"label map '{sample.get('seg_map_path') or sample.get('img_path')}' has the "
                    f'value {values[wrong][0]} after the pipeline; the {classes} classes are 0 ... '
                    f'{classes - 1}; correct the map, num_classes or ignore_index'
                )
