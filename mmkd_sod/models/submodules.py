"""Finding the heads of detectors and segmentors."""

from torch import nn


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
