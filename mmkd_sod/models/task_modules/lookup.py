"""Which reader a head gets, and which heads get none and why."""
from torch import nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.registry import HEAD_READERS

from .base import HeadReader

_BOXES_ONLY = 'it predicts masks, and CrossKD compares classes and boxes alone'
_PROPOSALS = 'it proposes regions for a second stage and tells no classes apart'
_QUERIES = ('it predicts from a set of queries; queries of two models have no common order, and '
            'there are no towers to cross')
_GUIDED = ('in prediction it masks locations by the first image of the batch, so the teacher '
           'answers one image at a time, on anchors that it made itself')

# Why a head cannot be distilled this way, by class name; it holds for its subclasses too.
REFUSED: dict[str, str] = {
    'AnchorHead': 'it is a base class without towers',
    'AnchorFreeHead': 'it is a base class without losses',
    'GuidedAnchorHead': _GUIDED,
    'RPNHead': _PROPOSALS,
    'CascadeRPNHead': _PROPOSALS,
    'EmbeddingRPNHead': _PROPOSALS,
    'SSDHead': 'its predictions come straight from the backbone: there are no towers to cross',
    'YOLOV3Head': 'one convolution a level leads to a joint prediction: there are no towers to '
                  'cross',
    'YOLACTHead': _BOXES_ONLY + ', and its classes are softmax scores',
    'CornerHead': 'it predicts corners and pairs them by embeddings; there are no boxes to compare '
                  'location by location',
    'CenterNetHead': 'its branches are one convolution deep: there are no towers to cross',
    'ATSSVLFusionHead': 'it fuses language into its towers and classifies by words',
    'CondInstBboxHead': 'it also predicts the filters of the mask head, and CrossKD compares '
                        'classes and boxes alone',
    'RTMDetInsHead': 'it also predicts the filters of the masks, and CrossKD compares classes and '
                     'boxes alone',
    'MaskFormerHead': _BOXES_ONLY,
    'SOLOHead': _BOXES_ONLY,
    'SOLOV2Head': _BOXES_ONLY,
    'CondInstMaskHead': _BOXES_ONLY,
    'DETRHead': _QUERIES,
}

# A subclass that changes one of these may predict something else than the reader of its parent
# compares, and the distillation would be wrong without a word.
_DECISIVE = ('forward', 'forward_single', 'get_targets', 'loss_by_feat')


def reader_class(head: type, owner: str) -> type[HeadReader]:
    """The reader's class for a class of heads.

    A head is read by the reader of its own class name, or by that of the nearest base class if
    nothing that decides what is predicted and how it is trained differs from that base.

    Args:
        head (type): A class of detection heads.
        owner (str): 'student' or 'teacher', for the error message.

    Raises:
        ConfigError: No reader knows the head, or it cannot be distilled this way.
    """
    for cls in head.__mro__:
        if cls.__name__ in REFUSED:
            raise ConfigError(
                f"CrossKDDistiller: the {owner}'s head {head.__name__} cannot be distilled across "
                f'heads, since {REFUSED[cls.__name__]}; use another head or another distiller')
        reader = HEAD_READERS.get(cls.__name__)
        if reader is None:
            continue
        changed = [name for name in _DECISIVE if getattr(head, name, None) is not
                   getattr(cls, name, None)]
        if changed:
            raise ConfigError(
                f"CrossKDDistiller: the {owner}'s head {head.__name__} has its own "
                f'{" and ".join(changed)}, so the reader of {cls.__name__} may misread it; if it '
                f"fits, register it: HEAD_READERS.register_module(name='{head.__name__}', "
                f'module={reader.__name__})')
        return reader
    known = ', '.join(sorted(HEAD_READERS.module_dict))
    raise ConfigError(
        f"CrossKDDistiller: no reader knows the {owner}'s head {head.__name__}; use one of "
        f'{known}, or register a HeadReader for it in mmkd_sod.registry.HEAD_READERS')


def find_reader(head: nn.Module, owner: str) -> HeadReader:
    """The reader of a head; see :func:`reader_class`.

    Args:
        head (nn.Module): A detection head.
        owner (str): 'student' or 'teacher', for the error message.

    Raises:
        ConfigError: No reader knows the head, or it cannot be distilled this way.
    """
    return reader_class(type(head), owner)(head)
