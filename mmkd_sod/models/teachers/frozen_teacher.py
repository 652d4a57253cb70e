"""A teacher that never moves and only predicts."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import cache
from typing import Protocol

import torch
from mmengine.logging import print_log
from mmengine.model import BaseModel, revert_sync_batchnorm
from torch import Tensor

from mmkd_sod.errors import CheckpointError, ConfigError
from mmkd_sod.models.recorders import hooks_fire
from mmkd_sod.models.submodules import apply_to_hidden

from .checkpoint import load_teacher_weights
from .half_weights import halve_extractors

_AUTOCAST = {
    'bf16': torch.bfloat16,
    'bfloat16': torch.bfloat16,
    'fp16': torch.float16,
    'float16': torch.float16,
}
_FOLDER = 'mmkd_sod.models.acceleration'


class _Accelerator(Protocol):
    def tune(self) -> None:
        """Make the teacher faster where it is now."""


@cache
def _log_slow() -> None:
    print_log(
        f'DenseDistill: {_FOLDER} is missing, so teachers run as in their own framework, '
        'which is slower.',
        logger='current',
    )


def find_accelerator() -> Callable[..., _Accelerator] | None:
    """Return the ``Accelerator`` class, or None where ``mmkd_sod/models/acceleration`` is missing.

    This is the only place that imports the folder, and it does so at run time: the package works
    without it, only slower.
    """
    try:
        from mmkd_sod.models.acceleration.accelerator import Accelerator
    except ModuleNotFoundError as error:
        # An empty folder, which Python leaves where it cached bytecode, is a package too.
        if error.name not in (_FOLDER, f'{_FOLDER}.accelerator'):
            raise
        return None
    return Accelerator


def _accelerate(module: BaseModel, **options) -> _Accelerator | None:
    """Make the accelerator of a teacher, if the folder is there.

    Args:
        module (BaseModel): The frozen teacher.
        options: ``fold_bn``, ``channels_last`` and ``compile``; None stands for the default.

    Raises:
        ConfigError: An option does not fit the teacher, or is asked for without the folder.
    """
    accelerator = find_accelerator()
    if accelerator is not None:
        return accelerator(module, **options)
    asked = [name for name, value in options.items() if value]
    if asked:
        raise ConfigError(
            f'DenseDistill: teacher_{asked[0]}=True, but {_FOLDER} is missing; leave '
            'the option out, or install the whole package'
        )
    _log_slow()
    return None


class FrozenTeacher:
    """Holds a teacher outside of ``nn.Module``'s reach and runs its prediction forward.

    It is no ``nn.Module`` on purpose: what holds it has no teacher in its parameters, optimizer,
    state dict, DDP buckets or EMA copies.

    Args:
        module (BaseModel): The teacher. Its SyncBN layers become BN layers, whose output is the
            same in eval mode; its parameters lose ``requires_grad``.
        ckpt (str, optional): Its weights. None is allowed for a model that was handed over built
            (``trusted``) or when ``allow_missing`` covers all.
        trusted (bool): The module arrived with its weights.
        allow_missing (Sequence[str]): See ``load_teacher_weights``; ``('*',)`` allows a random
            teacher.
        fold_bn (bool, optional): Fold BN layers into the convolutions before them. Default None: as
            True, where ``mmkd_sod/models/acceleration`` is there, whose ``Accelerator`` says more
            of this and the next two options.
        channels_last (bool, optional): Run the teacher in channels_last. Default None: on a CPU its
            backbone and neck, inside.
        compile (bool): Run backbone and neck through ``torch.compile`` and, on a CPU, the head's
            wide 3x3 convolutions by Winograd's algorithm.
        autocast (str, optional): ``'bf16'`` or ``'fp16'``: run the forward under autocast. The
            outputs change within that precision. Default: as the surrounding code runs.
        dtype (str, optional): ``'bfloat16'`` or ``'float16'``: keep backbone and neck in it
            (``halve_extractors``), after the accelerations were tried in float32.
        exact (bool): Switch the five options above off, whatever they say: the outputs are the
            module's own, bit for bit.
    """

    def __init__(
        self,
        module: BaseModel,
        ckpt: str | None = None,
        trusted: bool = False,
        allow_missing: Sequence[str] = (),
        fold_bn: bool | None = None,
        channels_last: bool | None = None,
        autocast: str | None = None,
        compile: bool = False,
        exact: bool = False,
        dtype: str | None = None,
    ) -> None:
        if dtype is not None and (dtype not in ('bfloat16', 'float16') or compile):
            raise ConfigError(
                f'DenseDistill: teacher_dtype={dtype!r} with teacher_compile={compile}; choose '
                'bfloat16, float16 or None, and one of the two options'
            )
        if autocast is not None and autocast not in _AUTOCAST:
            raise ConfigError(
                f'DenseDistill: teacher_autocast={autocast!r}; choose bf16, fp16 or None'
            )
        self.module = revert_sync_batchnorm(module)
        self.ckpt = ckpt
        self.trusted = trusted
        self.allow_missing = tuple(allow_missing)
        self.autocast = None if exact else autocast
        self._dtype = None if exact or dtype is None else _AUTOCAST[dtype]
        self._loaded = False
        self._accelerator = (
            None
            if exact
            else _accelerate(
                self.module, fold_bn=fold_bn, channels_last=channels_last, compile=compile
            )
        )
        self.module.eval()
        self.module.requires_grad_(False)

    def __deepcopy__(self, memo) -> 'FrozenTeacher':
        return self.share(memo)

    def share(self, memo: dict) -> 'FrozenTeacher':
        """Tell ``copy.deepcopy`` that copies use this teacher, and every part of it, as it is."""
        for part in (self, *self.module.modules()):
            memo[id(part)] = part
        return self

    def load(self) -> None:
        """Load and check the weights, once.

        Raises:
            CheckpointError: The weights are missing or do not fit.
        """
        if self._loaded:
            return
        if self.ckpt:
            load_teacher_weights(self.module, self.ckpt, self.allow_missing)
        elif not self.trusted and '*' not in self.allow_missing:
            raise CheckpointError(
                'DenseDistill: teacher_ckpt is None, so the teacher would be random; give the '
                "teacher's checkpoint, or teacher_allow_missing=['*'] if that is what you want"
            )
        self._loaded = True

    def move(self, fn: Callable[[Tensor], Tensor]) -> None:
        """Apply a function such as that of ``nn.Module.to`` to all tensors of the teacher."""
        self.module._apply(fn)
        apply_to_hidden(self.module, fn, tensors=True)

    def follow(self, device: torch.device) -> None:
        """Move to a device; cheap where the teacher is there.

        Wrappers of the student that shard it (FSDP, DeepSpeed) move only what they hold.

        Args:
            device (torch.device): Where the batch is.
        """
        weight = next(self.module.parameters(), None)
        if weight is not None and weight.device != device:
            self.move(lambda tensor: tensor.to(device))

    def tune(self) -> None:
        """Make the teacher faster on the device where it is; cheap once that is done.

        Called before each forward, with no recorder open: only then is the teacher known to be
        where it will run.
        """
        if self._accelerator is not None:
            self._accelerator.tune()
        if self._dtype is not None:
            halve_extractors(self.module, self._dtype)
            self._dtype = self._accelerator = None  # nothing is tried in half precision

    @torch.no_grad()
    def __call__(self, inputs: Tensor, data_samples=None, features_only: bool = False):
        """Raw outputs of the teacher (``mode='tensor'``), without targets, losses or gradients.

        Args:
            inputs (Tensor): (N, C, H, W), preprocessed.
            data_samples (list, optional): Meta data of the images; labels are not looked at.
            features_only (bool): Run backbone and neck only and return their output.
        """
        context = (
            nullcontext()
            if self.autocast is None
            else torch.autocast(inputs.device.type, dtype=_AUTOCAST[self.autocast])
        )
        with context, hooks_fire(self.module):
            if features_only:
                return self.module.extract_feat(inputs)
            return self.module(inputs, data_samples, mode='tensor')


class AbsentTeacher:
    """Stands where a teacher would, for distillers whose targets were written down beforehand."""

    module = None

    def load(self) -> None:
        """Nothing to read."""

    def move(self, fn: Callable[[Tensor], Tensor]) -> None:
        """Nothing to move."""

    def follow(self, device: torch.device) -> None:
        """Nothing to move."""

    def tune(self) -> None:
        """Nothing to make faster."""

    def share(self, memo: dict) -> 'AbsentTeacher':
        """Nothing to share."""
        return self

    def __call__(self, inputs: Tensor, data_samples=None, features_only: bool = False) -> None:
        """Nothing to run."""
