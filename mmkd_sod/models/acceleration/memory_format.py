"""Running a teacher in channels_last, as a whole or in part."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from mmkd_sod.utils.tensors import map_tensors

# At a 32nd of the image a map is a few pixels and a stage's weights are megabytes, which oneDNN
# reorders at every call in channels_last; that costs several times what is gained on the maps.
COARSE = 32


def to_channels_last(x: Tensor) -> Tensor:
    """Return a 4-D tensor in channels_last, any other as it is."""
    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x


def to_contiguous(x: Tensor) -> Tensor:
    """Return ``x.contiguous()``, two to five times faster for channels_last on a CPU.

    torch transposes a matrix in blocks, but copies any other permutation value by value.
    """
    recorded = x.requires_grad and torch.is_grad_enabled()
    if (
        recorded
        or torch.compiler.is_compiling()
        or x.is_contiguous()
        or not x.is_contiguous(memory_format=torch.channels_last)
    ):
        return x.contiguous()
    found = torch.empty_like(x, memory_format=torch.contiguous_format)
    for target, image in zip(found.flatten(2), x.flatten(2), strict=True):
        target.copy_(image)
    return found


def _lay_weights(module: nn.Module, memory_format: torch.memory_format) -> None:
    module.to(memory_format=memory_format)  # type: ignore[call-overload]


def deformable_convolutions(teacher: nn.Module) -> list[str]:
    """Names of mmcv's deformable convolutions, which fail or compute wrong values on channels_last.

    They are recognised by the name of their class, so that mmcv.ops need not be imported.
    """
    return [
        name
        for name, part in teacher.named_modules()
        if any(
            cls.__module__.startswith('mmcv.ops') and 'DeformConv' in cls.__name__
            for cls in type(part).__mro__
        )
    ]


def use_channels_last(teacher: nn.Module) -> Callable[[], None]:
    """Keep all weights, and the input of each forward, in channels_last.

    Args:
        teacher (nn.Module): A detector or segmentor, called with the images first.

    Returns:
        Callable: Undoes it.
    """
    _lay_weights(teacher, torch.channels_last)
    handle = teacher.register_forward_pre_hook(
        lambda _, args: (map_tensors(args[0], to_channels_last), *args[1:])
    )

    def undo() -> None:
        handle.remove()
        _lay_weights(teacher, torch.contiguous_format)

    return undo


def feature_extractors(teacher: nn.Module) -> list[nn.Module]:
    """The backbone and, if there is one, the neck of a detector or segmentor."""
    children = dict(teacher.named_children())
    return [children[name] for name in ('backbone', 'neck') if name in children]


def hooks_inside(part: nn.Module) -> int:
    """How many hooks there are on what is inside a module, the module itself left out."""
    return sum(
        len(module._forward_hooks) + len(module._forward_pre_hooks)
        for module in part.modules()
        if module is not part
    )


def _coarse_stages(backbone: nn.Module, forward: Callable[[], object]) -> list[nn.Module]:
    """Direct children of a backbone whose maps are at a 32nd of its input, or coarser."""
    sizes: dict[nn.Module, int] = {}

    def see(module, args, output) -> None:
        maps: list[Tensor] = []
        map_tensors((args if module is backbone else output), maps.append)
        sizes[module] = max((x.shape[-1] for x in maps if x.dim() == 4), default=0)

    handles = [module.register_forward_hook(see) for module in (backbone, *backbone.children())]
    try:
        forward()
    finally:
        for handle in handles:
            handle.remove()
    whole = sizes.get(backbone, 0)
    return [child for child in backbone.children() if 0 < sizes.get(child, 0) * COARSE <= whole]


def lay_out(teacher: nn.Module, forward: Callable[[], object]) -> Callable[[], None]:
    """Let backbone and neck run in channels_last inside; the maps that they return are contiguous.

    On a CPU this makes convolutions on large maps faster, and max-pooling many times. A head keeps
    its memory format: it works on smaller maps, where there is nothing to gain, and a distiller may
    run parts of it on the student's features.

    Args:
        teacher (nn.Module): A detector or segmentor. Where a recorder reads inside the backbone or
            the neck, that module is not changed.
        forward (Callable): Runs the teacher on an image of 256 pixels or more a side.

    Returns:
        Callable: Undoes it.
    """
    parts = [part for part in feature_extractors(teacher) if not hooks_inside(part)]
    handles: list[RemovableHandle] = []

    def undo() -> None:
        for handle in handles:
            handle.remove()
        for part in parts:
            _lay_weights(part, torch.contiguous_format)

    try:
        backbone = dict(teacher.named_children()).get('backbone')
        coarse = _coarse_stages(backbone, forward) if backbone in parts else []
        for part in parts:
            _lay_weights(part, torch.channels_last)
            handles.append(
                part.register_forward_pre_hook(
                    lambda _, args: map_tensors(args, to_channels_last), prepend=True
                )
            )
            # What only the neck reads need not be contiguous.
            if part is parts[-1] or part._forward_hooks:
                handles.append(
                    part.register_forward_hook(
                        lambda _, args, output: map_tensors(output, to_contiguous), prepend=True
                    )
                )
        for stage in coarse:
            _lay_weights(stage, torch.contiguous_format)
            handles.append(
                stage.register_forward_pre_hook(lambda _, args: map_tensors(args, to_contiguous))
            )
    except Exception:
        undo()
        raise
    return undo
