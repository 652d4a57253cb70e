"""A teacher's feature extractors through torch.compile."""
from contextlib import nullcontext

import torch
from torch import nn

from mmkd_sod.errors import ConfigError

from .memory_format import feature_extractors, hooks_inside
from .parity import largest_move

_AUTOCAST_TOLERANCE = 0.05  # what bf16 leaves of a map's largest number


class CompiledForward:
    """A module's forward, compiled at its first call and compared with the plain one there.

    On a CPU the weights are compiled in (inductor's freezing), laid out as the kernels want them,
    which takes as much memory again. While something inside the module is read, through hooks that
    were not there at first, the plain forward runs.

    Args:
        part (nn.Module): The module; its weights must not change any more.
        tolerance (float): How far the answers may move, see :func:`largest_move`.
    """

    def __init__(self, part: nn.Module, tolerance: float) -> None:
        self.part = part
        self.tolerance = tolerance
        self.plain = part.forward
        self.fast = torch.compile(part.forward)
        self.hooks = hooks_inside(part)
        self.compared = False

    def __call__(self, *args):
        if hooks_inside(self.part) != self.hooks:
            return self.plain(*args)
        if not self.compared:
            return self._first(*args)
        return self._run(*args)

    def _run(self, *args):
        context = nullcontext()
        if next(self.part.parameters()).is_cpu:
            from torch._inductor import config
            context = config.patch(freezing=True)
        with context:
            return self.fast(*args)

    def _first(self, *args):
        """Both ways; raises where they differ or the compiler fails."""
        wanted = self.plain(*args)
        name = type(self.part).__name__
        try:
            found = self._run(*args)
        except Exception as error:  # torch.compile has no error of its own for all that can fail
            what = str(error).strip().split('\n')[0][:200]
            raise ConfigError(
                f"DenseDistill: teacher_compile=True, but torch.compile fails on the teacher's "
                f'{name} ({type(error).__name__}: {what}); leave the option out') from error
        moved = largest_move(found, wanted)
        cast = any(map(torch.is_autocast_enabled, ('cpu', 'cuda')))
        if not moved <= (_AUTOCAST_TOLERANCE if cast else self.tolerance):
            raise ConfigError(
                f"DenseDistill: teacher_compile=True, but compiled the teacher's {name} answers "
                f'otherwise (by {moved:.1e} of its largest number); leave the option out')
        self.compared = True
        return found


def compile_extractors(teacher: nn.Module, tolerance: float) -> None:
    """Let a teacher's backbone and neck run through ``torch.compile``; the head stays as it is.

    Args:
        teacher (nn.Module): A frozen detector or segmentor.
        tolerance (float): See :class:`CompiledForward`.

    Raises:
        ConfigError: There is no backbone. At the first call: the compiler fails or answers
            otherwise.
    """
    parts = feature_extractors(teacher)
    if not parts:
        raise ConfigError(f'DenseDistill: teacher_compile=True, but {type(teacher).__name__} has '
                          'neither backbone nor neck to compile; leave the option out')
    for part in parts:
        part.forward = CompiledForward(part, tolerance)
