"""Finds the reader of a head; lists the heads that cannot be distilled, with reasons."""

from torch import nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.registry import CROSS_READERS, HEAD_READERS

from .base import HeadReader

_MASKS = 'it predicts the mask of each grid cell, which is not compared'
_PROPOSALS = 'it proposes regions for a second stage and does not distinguish classes'
_GUIDED = (
    'at inference it masks locations by the first image of the batch and predicts its own anchors'
)

# Why a head class and its subclasses cannot be distilled by crossing towers.
REFUSED: dict[str, str] = {
    'AnchorHead': 'it is a base class without towers',
    'AnchorFreeHead': 'it is a base class without losses',
    'GuidedAnchorHead': _GUIDED,
    'RPNHead': _PROPOSALS,
    'CascadeRPNHead': _PROPOSALS,
    'EmbeddingRPNHead': _PROPOSALS,
    'SSDHead': 'it predicts directly from the backbone and has no towers',
    'YOLACTHead': 'its classes are softmax scores, and it also predicts coefficients of masks',
    'CornerHead': 'it predicts corners paired by embeddings, so that there are no boxes per '
    'location',
    'CenterNetHead': 'its branches are one convolution deep and not towers',
    'ATSSVLFusionHead': 'it fuses text features into its towers and classifies by words',
    'SOLOHead': _MASKS,
    'SOLOV2Head': _MASKS,
    'CondInstMaskHead': 'it only applies the filters that the box head predicts, which crosses',
    'GroundingDINOHead': 'its decoder also attends to words, which each network embeds by itself',
    'GridRoIHead': 'it places boxes by grids of points instead of classes and deltas',
    'MultiInstanceRoIHead': 'it predicts two objects for every box, without an order',
    'TridentRoIHead': 'its student trains on three branches and its teacher predicts with one',
    'SCNetRoIHead': 'features of its boxes feed its masks across stages',
}

# A subclass that overrides one of these may predict something that its parent's reader does not
# read correctly, and the distillation would be wrong silently.
_DECISIVE = ('forward', 'forward_single', 'get_targets', 'loss_by_feat')


def refusal(name: str, head: str, owner: str) -> None:
    """Refuse a class of heads that ``REFUSED`` lists.

    Args:
        name (str): The class, or a base class.
        head (str): The class, for the error message.
        owner (str): 'student' or 'teacher', for the error message.

    Raises:
        ConfigError: ``REFUSED`` lists it; the message gives the reason.
    """
    if name in REFUSED:
        raise ConfigError(
            f"CrossKDDistiller: the {owner}'s head {head} cannot be distilled across heads, since "
            f'{REFUSED[name]}; distil its features with PKD (docs/mmrazor.md), or use another head'
        )


def reader_class(head: type, owner: str) -> type[HeadReader]:
    """Return the reader class for a class of heads.

    A head gets the reader registered for its own class name, or for its nearest base class with a
    reader, provided that it does not override a method that decides predictions or targets.

    Args:
        head (type): A class of detection heads.
        owner (str): 'student' or 'teacher', for the error message.

    Raises:
        ConfigError: There is no reader for the head, or it cannot be distilled by crossing towers.
    """
    for position, cls in enumerate(head.__mro__):
        refusal(cls.__name__, head.__name__, owner)
        reader = HEAD_READERS.get(cls.__name__)
        if reader is None:
            continue
        overridden = [
            name
            for name in _DECISIVE
            if any(name in vars(base) for base in head.__mro__[:position])
        ]
        if overridden:
            raise ConfigError(
                f"CrossKDDistiller: the {owner}'s head {head.__name__} has its own "
                f'{" and ".join(overridden)}, which {reader.__name__} of {cls.__name__} may read '
                'wrongly; if it fits, register it with HEAD_READERS.register_module('
                f"name='{head.__name__}', module={reader.__name__})"
            )
        return reader
    known = ', '.join(sorted({**HEAD_READERS.module_dict, **CROSS_READERS.module_dict}))
    raise ConfigError(
        f"CrossKDDistiller: no reader for the {owner}'s head {head.__name__}; use one of "
        f'{known}, or register a HeadReader for it in mmkd_sod.registry.HEAD_READERS'
    )


def find_reader(head: nn.Module, owner: str) -> HeadReader:
    """Return a reader of a head; ``reader_class`` describes the choice.

    Args:
        head (nn.Module): A detection head.
        owner (str): 'student' or 'teacher', for the error message.

    Raises:
        ConfigError: There is no reader for the head, or it cannot be distilled by crossing towers.
    """
    return reader_class(type(head), owner)(head)
