"""Where a teacher on a CPU runs in channels_last."""
from collections.abc import Callable

import torch
from torch import Tensor, nn

from mmkd_sod.utils.tensors import map_tensors

# At a 32nd of the image a map is a few pixels and a stage's weights are megabytes: what the plain
# layout costs at the maps, channels_last costs at the weights, several times over.
COARSE = 32


def _to(memory_format: torch.memory_format) -> Callable[[Tensor], Tensor]:
    return lambda x: x.contiguous(memory_format=memory_format) if x.dim() == 4 else x


def feature_extractors(teacher: nn.Module) -> list[nn.Module]:
    """The backbone and, if there is one, the neck of a detector or segmentor."""
    parts = [getattr(teacher, name, None) for name in ('backbone', 'neck')]
    return [part for part in parts if isinstance(part, nn.Module)]


def hooks_inside(part: nn.Module) -> int:
    """How many hooks there are on what is inside a module, the module itself left out."""
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks)
               for module in part.modules() if module is not part)


def _coarse_stages(backbone: nn.Module, forward: Callable[[], object]) -> list[nn.Module]:
    """Direct children of a backbone whose maps are at a 32nd of its input, or coarser."""
    sizes: dict[nn.Module, int] = {}

    def see(module, args, output) -> None:
        maps = []
        map_tensors((args if module is backbone else output), maps.append)
        sizes[module] = max((x.shape[-1] for x in maps if x.dim() == 4), default=0)

    handles = [module.register_forward_hook(see) for module in (backbone, *backbone.children())]
    try:
        forward()
    finally:
        for handle in handles:
            handle.remove()
    whole = sizes.get(backbone, 0)
    return [child for child in backbone.children()
            if 0 < sizes.get(child, 0) * COARSE <= whole]


def lay_out(teacher: nn.Module, forward: Callable[[], object]) -> Callable[[], None]:
    """Let backbone and neck run in channels_last inside; maps that they hand out stay plain.

    Convolutions on large maps are faster so on a CPU, and max-pooling many times. A head keeps its
    layout: it works on smaller maps, where there is nothing to win, and a distiller may run parts
    of it on the student's features.

    Args:
        teacher (nn.Module): A detector or segmentor. Where a recorder reads inside the backbone or
            the neck, that part is left alone.
        forward (Callable): Runs the teacher on an image of 256 pixels or more a side.

    Returns:
        Callable: Undoes it.
    """
    parts = [part for part in feature_extractors(teacher) if not hooks_inside(part)]
    plain, last = _to(torch.contiguous_format), _to(torch.channels_last)
    handles = []

    def undo() -> None:
        for handle in handles:
            handle.remove()
        for part in parts:
            part.to(memory_format=torch.contiguous_format)

    try:
        backbone = getattr(teacher, 'backbone', None)
        coarse = _coarse_stages(backbone, forward) if backbone in parts else []
        for part in parts:
            part.to(memory_format=torch.channels_last)
            handles.append(part.register_forward_pre_hook(
                lambda _, args: map_tensors(args, last), prepend=True))
            # What the neck alone reads need not be plain.
            if part is parts[-1] or part._forward_hooks:
                handles.append(part.register_forward_hook(
                    lambda _, args, output: map_tensors(output, plain), prepend=True))
        for stage in coarse:
            stage.to(memory_format=torch.contiguous_format)
            handles.append(stage.register_forward_pre_hook(
                lambda _, args: map_tensors(args, plain)))
    except Exception:
        undo()
        raise
    return undo
