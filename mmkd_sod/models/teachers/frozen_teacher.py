"""A teacher that never moves and only predicts."""
import logging
from collections.abc import Callable, Sequence
from contextlib import nullcontext

import torch
from mmcv.cnn.utils import fuse_conv_bn
from mmcv.ops import DeformConv2d, ModulatedDeformConv2d
from mmengine.logging import print_log
from mmengine.model import BaseModel, revert_sync_batchnorm
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from mmkd_sod.errors import CheckpointError, ConfigError
from mmkd_sod.models.acceleration.compiled_forward import compile_extractors
from mmkd_sod.models.acceleration.memory_format import feature_extractors, lay_out
from mmkd_sod.models.acceleration.packed_convolution import pack_shared_convolutions
from mmkd_sod.models.acceleration.parity import largest_move
from mmkd_sod.models.acceleration.winograd import use_winograd
from mmkd_sod.models.distillers.recorders import hooks_fire
from mmkd_sod.utils.tensors import flat

from .checkpoint import load_teacher_weights

# No number may be moved by more than this, relative to the largest of its map.
TOLERANCE = 1e-4
_AUTOCAST = {'bf16': torch.bfloat16, 'bfloat16': torch.bfloat16, 'fp16': torch.float16,
                 'float16': torch.float16}


class FrozenTeacher:
    """Holds a teacher outside of ``nn.Module``'s reach and runs its prediction forward.

    It is no ``nn.Module`` on purpose: what holds it has no teacher in its parameters, optimizer,
    state dict, DDP buckets or EMA copies.

    Args:
        module (BaseModel): The teacher. Its SyncBN layers become BN layers, which answer the same
            in eval mode; its parameters lose ``requires_grad``.
        ckpt (str, optional): Its weights. None is allowed for a model that was handed over built
            (``trusted``) or when ``allow_missing`` covers all.
        trusted (bool): The module arrived with its weights.
        allow_missing (Sequence[str]): See :func:`load_teacher_weights`; ``('*',)`` allows a random
            teacher.
        fold_bn (bool): Fold BN layers into the convolutions before them (mmcv's
            ``fuse_conv_bn``). It is undone, with a warning, where it moves an output by more than
            1e-4 of the output's largest value (at least 1) on a random image.
        channels_last (bool, optional): Keep weights and activations in channels_last memory format;
            refused for a teacher with mmcv's deformable convolutions. Default None: on a CPU, the
            backbone and the neck do so inside (:func:`lay_out`), where that is faster, unless the
            teacher has such convolutions or its answers move as above. On a CPU, unless it is
            False, weights of the head that several levels share are laid out once
            (:func:`pack_shared_convolutions`) where the distiller does not mind (``any_layout``).
        autocast (str, optional): ``'bf16'`` or ``'fp16'``: run the forward under autocast. The
            answers change within that precision. Default: as the surrounding code runs.
        compile (bool): Run backbone and neck through ``torch.compile``
            (:func:`compile_extractors`) and, on a CPU, the rest's wide 3x3 convolutions by
            Winograd's algorithm (:func:`use_winograd`), unless answers move as above or the
            distiller minds their layout.
        exact (bool): Switch the four options above off: the outputs are the module's own, bit for
            bit.
    """

    def __init__(self,
                 module: BaseModel,
                 ckpt: str | None = None,
                 trusted: bool = False,
                 allow_missing: Sequence[str] = (),
                 fold_bn: bool = True,
                 channels_last: bool | None = None,
                 autocast: str | None = None,
                 compile: bool = False,
                 exact: bool = False) -> None:
        if exact:
            fold_bn, channels_last, autocast, compile = False, False, None, False
        if autocast is not None and autocast not in _AUTOCAST:
            raise ConfigError(f'DenseDistill: teacher_autocast={autocast!r}; choose bf16, fp16 or '
                              'None')
        deformable = [name for name, part in module.named_modules()
                      if isinstance(part, (DeformConv2d, ModulatedDeformConv2d))]
        if channels_last and deformable:
            raise ConfigError(
                f"DenseDistill: teacher_channels_last=True, but the teacher's {deformable[0]} is a "
                'deformable convolution, which in mmcv fails or answers wrongly on such features; '
                'leave the option out')
        self.module = revert_sync_batchnorm(module)
        self.ckpt = ckpt
        self.trusted = trusted
        self.allow_missing = tuple(allow_missing)
        self.fold_bn = fold_bn
        self.channels_last = False if deformable else channels_last
        self.autocast = autocast
        self.compile = compile
        # Whether readers take the head's maps as they come, see DenseDistiller.any_layout.
        self.any_layout = False
        self.ready = False
        self._freeze()

    def __deepcopy__(self, memo) -> 'FrozenTeacher':
        return self.share(memo)

    def share(self, memo: dict) -> 'FrozenTeacher':
        """Tell ``copy.deepcopy`` that copies use this teacher, and every part of it, as it is."""
        for part in (self, *self.module.modules()):
            memo[id(part)] = part
        return self

    def _freeze(self) -> None:
        self.module.eval()
        self.module.requires_grad_(False)

    def load(self) -> None:
        """Load and check the weights, then apply the speed options; once.

        Raises:
            CheckpointError: The weights are missing or do not fit.
        """
        if self.ready:
            return
        if self.ckpt:
            load_teacher_weights(self.module, self.ckpt, self.allow_missing)
        elif not self.trusted and '*' not in self.allow_missing:
            raise CheckpointError(
                'DenseDistill: teacher_ckpt is None, so the teacher would be random; give the '
                "teacher's checkpoint, or teacher_allow_missing=['*'] if that is what you want")
        if self.fold_bn and any(isinstance(m, _BatchNorm) for m in self.module.modules()):
            self._keep_if_exact(self._fold, "the teacher's BN layers are not folded",
                                logging.WARNING)
        if self.channels_last:
            self.module.to(memory_format=torch.channels_last)
        elif self.channels_last is None and self._on_cpu:
            self._keep_if_exact(lambda: lay_out(self.module, self._answers),
                                'no part of the teacher runs in channels_last', logging.INFO)
        if self.any_layout and self.channels_last is not False and self._on_cpu:
            self._keep_if_exact(
                lambda: pack_shared_convolutions(self.module, self._answers,
                                                 feature_extractors(self.module)),
                "the weights of the teacher's head are not laid out once", logging.INFO)
        if self.compile:
            self._compile()
        self._freeze()
        self.ready = True

    @property
    def _on_cpu(self) -> bool:
        return next(self.module.parameters()).is_cpu

    def _compile(self) -> None:
        """Compile what is faster so."""
        if self._on_cpu:
            print_log('DenseDistill: compiling the teacher takes a minute now, and some more at '
                      'the first step.', logger='current')
            if self.any_layout:
                self._keep_if_exact(
                    lambda: use_winograd(self.module, feature_extractors(self.module)),
                    "the teacher's head does not run by Winograd's algorithm", logging.WARNING)
        compile_extractors(self.module, TOLERANCE)

    @torch.no_grad()
    def _keep_if_exact(self, change: Callable[[], Callable[[], None]], failure: str,
                       level: int) -> None:
        """Change the network, and undo it where that moves its answers.

        Args:
            change (Callable): Makes the change and returns what undoes it; leaves nothing behind
                where it raises.
            failure (str): What to say where the change is not kept.
            level (int): Level at which it is said.
        """
        undo = None
        try:
            before = self._answers()
            undo = change()
            moved = largest_move(self._answers(), before)
            if moved <= TOLERANCE:
                return
            reason = f'it moves an output by {moved:.1e}'
        except ConfigError as error:
            reason = str(error)
        except Exception as error:  # any model may be a teacher; one that fails here stays
            reason = f'a trial on one image failed with {type(error).__name__}'
        if undo is not None:
            undo()
        print_log(f'DenseDistill: {failure}: {reason}.', logger='current', level=level)

    def _fold(self) -> Callable[[], None]:
        """Fold BN layers; returns what undoes it."""
        modules = list(self.module.modules())
        if any(m._forward_hooks or m._forward_pre_hooks for m in modules
               if isinstance(m, (_BatchNorm, torch.nn.Conv2d))):
            raise ConfigError('a distiller reads a convolution or BN layer on its own')
        # Modules stay the objects they are, since distillers hold on to them.
        backup = [(m, dict(m._modules), dict(m._parameters)) for m in modules]

        def undo() -> None:
            for module, children, parameters in backup:
                module._modules.update(children)
                module._parameters.update(parameters)

        try:
            fuse_conv_bn(self.module)
        except Exception:
            undo()
            raise
        self._freeze()
        return undo

    def _answers(self) -> list:
        """Outputs on one random image, the same at every call."""
        # Large enough for two cells a side at stride 128: GroupNorm refuses a single value.
        mean = getattr(self.module.data_preprocessor, 'mean', None)  # one a channel: depth has too
        channels = mean.numel() if isinstance(mean, Tensor) else 3
        image = torch.randn(1, channels, 256, 256, generator=torch.Generator().manual_seed(0))
        return flat(self.module(image.to(next(self.module.parameters())), None, mode='tensor'))

    @torch.no_grad()
    def __call__(self, inputs: Tensor, data_samples=None):
        """Raw outputs of the teacher (``mode='tensor'``), without targets, losses or gradients.

        Args:
            inputs (Tensor): (N, C, H, W), preprocessed.
            data_samples (list, optional): Meta data of the images; labels are not looked at.
        """
        if self.channels_last:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        context = nullcontext() if self.autocast is None else torch.autocast(
            inputs.device.type, dtype=_AUTOCAST[self.autocast])
        with context, hooks_fire(self.module):
            return self.module(inputs, data_samples, mode='tensor')


class AbsentTeacher:
    """Stands where a teacher would, for distillers whose targets were written down beforehand."""

    module = None
    any_layout = False

    def load(self) -> None:
        """Nothing to read."""

    def share(self, memo: dict) -> 'AbsentTeacher':
        """Nothing to share."""
        return self

    def __call__(self, inputs: Tensor, data_samples=None) -> None:
        """Nothing to run."""
