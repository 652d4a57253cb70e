"""A teacher's feature extractors through torch.compile."""

from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.utils.tensors import map_tensors

from .memory_format import feature_extractors, hooks_inside
from .parity import TOLERANCE, device_type, full_float32, largest_move


class CompiledForward:
    """A module's forward, compiled at its first call and compared with the plain one there.

    The comparison runs on the first call's inputs in full float32. On a CPU the weights are
    compiled in (inductor's freezing), which takes their memory again. While something inside the
    module is read, through hooks that were not there at first, the plain forward runs.

    Args:
        part (nn.Module): The module; its weights must not change any more.
    """

    def __init__(self, part: nn.Module) -> None:
        self.part = part
        self.plain = part.forward
        self.fast = torch.compile(part.forward)
        self.hooks = hooks_inside(part)
        self.compared = False

    def __call__(self, *args):
        if hooks_inside(self.part) != self.hooks:
            return self.plain(*args)
        if not self.compared:
            self._compare(args)
            self.compared = True
        return self._run(*args)

    def _run(self, *args):
        context = nullcontext()
        if device_type(self.part) == 'cpu':
            from torch._inductor import config

            context = config.patch(freezing=True)
        with context:
            return self.fast(*args)

    def _compare(self, args: tuple) -> None:
        """Raise where both ways differ or the compiler fails."""
        name = type(self.part).__name__
        weight = next(self.part.parameters())
        # Autocast, which is off here, may have given the inputs another type.
        args = map_tensors(args, lambda x: x.to(weight.dtype) if x.is_floating_point() else x)
        with full_float32(weight.device.type):
            wanted = self.plain(*args)
            try:
                found = self._run(*args)
            except Exception as error:  # torch.compile has no error of its own for all failures
                what = str(error).strip().split('\n')[0][:200]
                raise ConfigError(
                    f"DenseDistill: teacher_compile=True, but torch.compile fails on the teacher's "
                    f'{name} ({type(error).__name__}: {what}); leave the option out'
                ) from error
        moved = largest_move(found, wanted)
        if not moved <= TOLERANCE:
            raise ConfigError(
                f"DenseDistill: teacher_compile=True, but compiling the teacher's {name} moves its "
                f'outputs by {moved:.1e} of the largest value; leave the option out'
            )


def compile_extractors(teacher: nn.Module) -> Callable[[], None]:
    """Let a teacher's backbone and neck run through ``torch.compile``; the head stays as it is.

    Args:
        teacher (nn.Module): A frozen detector or segmentor.

    Returns:
        Callable: Undoes it.

    Raises:
        ConfigError: At the first call: the compiler fails, or the outputs move by more than
            ``TOLERANCE``.
    """
    parts = feature_extractors(teacher)
    before = [vars(part).get('forward') for part in parts]
    for part in parts:
        part.forward = CompiledForward(part)

    def undo() -> None:
        for part, forward in zip(parts, before, strict=True):
            del part.forward
            if forward is not None:
                part.forward = forward

    return undo
