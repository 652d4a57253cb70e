"""Hook that carries over a resume what no state dict holds."""

from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from torch import nn

from mmkd_sod.registry import HOOKS

_INNER = ('dataset', 'datasets', 'pipeline', 'transforms', 'branch_pipelines')
_KEY = 'run_state'


def _size(value: Any) -> tuple[int, int] | None:
    if value is None:
        return None
    height, width = value
    return int(height), int(width)


def _numbers(value: Any) -> list[float]:
    return [float(item) for item in value]


# Attributes that modules change in training, by the name of their class or of a base class, and
# what makes plain Python numbers of them: checkpoints may hold nothing else.
_ATTRIBUTES: dict[str, dict[str, Callable[[Any], Any]]] = {
    'BatchSyncRandomResize': {'_input_size': _size},
    'DDODHead': {'cls_num_pos_samples_per_level': _numbers},
    'DropBlock': {'iter_cnt': int},
    'DynamicRoIHead': {
        'iou_history': _numbers,
        'beta_history': _numbers,
        'bbox_assigner.pos_iou_thr': float,
        'bbox_assigner.neg_iou_thr': float,
        'bbox_assigner.min_pos_iou': float,
        'bbox_head.loss_bbox.beta': float,
    },
}


def _attributes(model: nn.Module) -> Iterator[tuple[str, nn.Module, dict]]:
    """Yield name, module and entry of ``_ATTRIBUTES`` of the modules that have one."""
    for name, module in model.named_modules():
        for base in type(module).__mro__:
            if base.__name__ in _ATTRIBUTES:
                yield name, module, _ATTRIBUTES[base.__name__]


def module_state(model: nn.Module) -> dict[str, dict[str, Any]]:
    """Return what the modules of a model keep outside of its state dict, by module and attribute.

    Values are None, numbers, or lists and tuples of numbers.
    """
    return {
        name: {key: plain(attrgetter(key)(module)) for key, plain in entry.items()}
        for name, module, entry in _attributes(model)
    }


def load_module_state(model: nn.Module, state: Any) -> None:
    """Set what ``module_state`` returned.

    Raises:
        KeyError, TypeError, ValueError: The state is of another model; nothing is set.
    """
    values = [
        (module, key, plain(state[name][key]))
        for name, module, entry in _attributes(model)
        for key, plain in entry.items()
    ]
    for module, key, value in values:
        *outer, last = key.split('.')
        setattr(attrgetter('.'.join(outer))(module) if outer else module, last, value)


def cached_transforms(dataset: Any) -> Iterator[Any]:
    """Yield the transforms of a data set, or of those inside, that cache images of earlier calls.

    These are the ones with a list ``results_cache``, as mmdet's ``CachedMosaic`` and
    ``CachedMixUp``.
    """
    if isinstance(dataset, dict):
        dataset = list(dataset.values())
    if isinstance(dataset, (list, tuple)):
        for item in dataset:
            yield from cached_transforms(item)
        return
    attributes = getattr(dataset, '__dict__', {})
    if isinstance(attributes.get('results_cache'), list):
        yield dataset
    for name in _INNER:
        if name in attributes:
            yield from cached_transforms(attributes[name])


@HOOKS.register_module()
class RunStateHook(Hook):
    """Carries over a resume what transforms and modules keep outside of any state dict.

    - Images that transforms cache (``CachedMosaic``, ``CachedMixUp``) are dropped at the start of
      each epoch. Worker processes start each epoch so anyway; the hook does the same in a run
      without workers. In an iteration-based run a resumed run loads the skipped batches again,
      with the random numbers of ``StepSeedHook``, which fills the caches as before.
    - Numbers that modules keep are saved in checkpoints, under ``run_state``: the size of images of
      ``BatchSyncRandomResize``, the counts of ``DDODHead`` and ``DropBlock``, and the thresholds
      of ``DynamicRoIHead``.

    Together with ``StepSeedHook`` a resumed run is then equal to an uninterrupted one, bit for bit
    on a CPU. ``tools/train.py`` adds this hook to every config; for other tools add it to
    ``custom_hooks``. Other transforms with state of their own resume, but not bit for bit.
    """

    def __init__(self) -> None:
        self._loaded: Any = None

    @staticmethod
    def _model(runner) -> nn.Module:
        return runner.model.module if is_model_wrapper(runner.model) else runner.model

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Keep the state in a checkpoint until it is known whether the run is resumed."""
        self._loaded = checkpoint.get(_KEY)

    def before_train(self, runner) -> None:
        """Set the state of the modules in a resumed run."""
        state, self._loaded = self._loaded, None
        model = self._model(runner)
        # A run that only starts from the weights of another one begins with fresh state.
        if runner.iter == 0 or not module_state(model):
            return
        try:
            load_module_state(model, state)
        except (KeyError, TypeError, ValueError):
            runner.logger.warning(
                f"the resumed checkpoint has no '{_KEY}' of this model; "
                f'{", ".join(module_state(model))} starts anew, so that the run may differ from '
                'an uninterrupted one'
            )

    def before_train_epoch(self, runner) -> None:
        """Drop the images that transforms cached in the last epoch."""
        for transform in cached_transforms(runner.train_loop.dataloader.dataset):
            transform.results_cache.clear()

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Save the state of the modules."""
        state = module_state(self._model(runner))
        if state:
            checkpoint[_KEY] = state
