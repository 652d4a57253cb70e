"""Which accelerations a frozen teacher gets, and the check that they keep its outputs."""

import logging
from collections.abc import Callable

import torch
from mmengine.logging import print_log
from mmengine.model import BaseModel
from torch.nn.modules.batchnorm import _BatchNorm

from mmkd_sod.errors import ConfigError

from .bn_folding import fold_batch_norms
from .compiled_forward import compile_extractors
from .memory_format import deformable_convolutions, feature_extractors, lay_out, use_channels_last
from .parity import TOLERANCE, device_type, largest_move, trial_outputs
from .winograd import use_winograd


class Accelerator:
    """Makes a frozen teacher faster without changing its outputs.

    Every change is tried on one random image, in full float32 (``full_float32``) and on the
    device where the teacher is, and undone where it moves an output by more than ``TOLERANCE``.

    Args:
        teacher (BaseModel): The frozen teacher.
        fold_bn (bool, optional): Fold BN layers into the convolutions before them. Default None:
            as True.
        channels_last (bool, optional): True keeps weights and activations of the whole teacher in
            channels_last, which is not tried before. Default None: on a CPU backbone and neck use
            it inside (``lay_out``).
        compile (bool): Run backbone and neck through ``torch.compile``
            (``compile_extractors``) and, on a CPU, compute the head's wide 3x3 convolutions by
            Winograd's algorithm (``use_winograd``).

    Raises:
        ConfigError: ``channels_last=True`` for a teacher with deformable convolutions, or
            ``compile=True`` for one without backbone and neck.
    """

    def __init__(
        self,
        teacher: BaseModel,
        fold_bn: bool | None = None,
        channels_last: bool | None = None,
        compile: bool = False,
    ) -> None:
        deformable = deformable_convolutions(teacher)
        if channels_last and deformable:
            raise ConfigError(
                f"DenseDistill: teacher_channels_last=True, but the teacher's {deformable[0]} is a "
                'deformable convolution, which in mmcv fails or computes wrong values on '
                'channels_last features; leave the option out'
            )
        if compile and not feature_extractors(teacher):
            raise ConfigError(
                f'DenseDistill: teacher_compile=True, but {type(teacher).__name__} has neither '
                'backbone nor neck to compile; leave the option out'
            )
        self.teacher = teacher
        self.fold_bn = fold_bn is not False
        self.channels_last = False if deformable else channels_last
        self.compile = compile
        self._device: str | None = None
        self._undo: list[Callable[[], None]] = []

    def tune(self) -> None:
        """Apply the accelerations for the kind of device where the teacher is now.

        Later calls do nothing until the teacher moves to another kind of device. Then memory format
        and compilation are undone and decided again; folded BN layers stay folded, since folding is
        the same computation everywhere.
        """
        device = device_type(self.teacher)
        if device == self._device:
            return
        first, self._device = self._device is None, device
        for undo in reversed(self._undo):
            undo()
        self._undo = []
        if (
            first
            and self.fold_bn
            and any(isinstance(m, _BatchNorm) for m in self.teacher.modules())
        ):
            self._keep_if_exact(
                fold_batch_norms, "the teacher's BN layers are not folded", logging.WARNING
            )
        if self.channels_last:
            self._undo.append(use_channels_last(self.teacher))
        elif self.channels_last is None and device == 'cpu':
            self._undo += self._keep_if_exact(
                lambda teacher: lay_out(teacher, lambda: trial_outputs(teacher)),
                'no part of the teacher runs in channels_last',
                logging.INFO,
            )
        if self.compile:
            print_log(
                'DenseDistill: the first step compiles the teacher, which takes a minute or two.',
                logger='current',
            )
            if device == 'cpu':
                self._undo += self._keep_if_exact(
                    lambda teacher: use_winograd(teacher, feature_extractors(teacher)),
                    "the teacher's head does not use Winograd's algorithm",
                    logging.WARNING,
                )
            self._undo.append(compile_extractors(self.teacher))

    @torch.no_grad()
    def _keep_if_exact(
        self, change: Callable[[BaseModel], Callable[[], None]], failure: str, level: int
    ) -> list[Callable[[], None]]:
        """Change the teacher, and undo it where that moves its outputs.

        Args:
            change (Callable): Changes the teacher and returns what undoes it; leaves nothing behind
                where it raises.
            failure (str): What to say where the change is not kept.
            level (int): Level at which it is said.

        Returns:
            list: What undoes the change; empty if it was not kept.
        """
        undo = None
        try:
            before = trial_outputs(self.teacher)
            undo = change(self.teacher)
            moved = largest_move(trial_outputs(self.teacher), before)
            if moved <= TOLERANCE:
                return [undo]
            reason = f'it moves an output by {moved:.1e}'
        except ConfigError as error:
            reason = str(error)
        except Exception as error:  # any model may be a teacher; one that fails here stays
            reason = f'a trial on one image failed with {type(error).__name__}'
        if undo is not None:
            undo()
        print_log(f'DenseDistill: {failure}: {reason}.', logger='current', level=level)
        return []
