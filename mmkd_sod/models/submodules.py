"""Finding the heads of detectors and segmentors, and what they hold beside their submodules."""

from collections.abc import Callable

from torch import Tensor, nn


def submodule(model: nn.Module, name: str) -> nn.Module | None:
    """Return the submodule of a dotted name, or None where there is none."""
    try:
        return model.get_submodule(name)
    except AttributeError:
        return None


def last_head(model: nn.Module, name: str) -> nn.Module | None:
    """Return the head whose output is the model's, or None where there is none.

    Args:
        model (nn.Module): A detector or segmentor.
        name (str): ``'decode_head'`` or ``'bbox_head'``; of a cascade (``nn.ModuleList``) the last
            head is returned.
    """
    head = submodule(model, name)
    return head[-1] if isinstance(head, nn.ModuleList) else head


def apply_to_hidden(model: nn.Module, fn: Callable[[Tensor], Tensor], tensors: bool) -> None:
    """Move what ``nn.Module._apply`` does not reach: networks that are plain attributes.

    mmdet's LD and LAD keep their own teacher so, and move it in methods that are not called where
    the detector is part of another model.

    Args:
        model (nn.Module): The network; its submodules have been moved already.
        fn (Callable): As for ``nn.Module._apply``.
        tensors (bool): Apply it to tensors that are plain attributes too, such as the offsets of
            deformable convolutions, which heads move to the device at every call.
    """
    for module in list(model.modules()):
        for name, value in list(vars(module).items()):
            if isinstance(value, nn.Module):
                value._apply(fn)
                apply_to_hidden(value, fn, tensors)
            elif tensors and isinstance(value, Tensor):
                vars(module)[name] = fn(value)
