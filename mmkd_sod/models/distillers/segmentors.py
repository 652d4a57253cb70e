"""Finding the modules of mmseg's segmentors that a distiller records."""

import difflib

from mmengine.model import BaseModel
from torch import nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.submodules import last_head, submodule


def decode_head_of(model: BaseModel, side: str, owner: str) -> nn.Module:
    """Return a segmentor's decode head, the last one of a cascade.

    Args:
        model (BaseModel): The segmentor.
        side (str): ``'student'`` or ``'teacher'``, for the message.
        owner (str): The distiller; begins the message.

    Raises:
        ConfigError: The model has none.
    """
    head = last_head(model, 'decode_head')
    if head is None:
        raise ConfigError(
            f'{owner} reads the decode_head of a segmentor of mmseg, but the {side} '
            f'is a {type(model).__name__} without one; choose another model or '
            'distiller'
        )
    return head


def find_classifier(model: BaseModel, side: str, owner: str, name: str | None = None) -> nn.Module:
    """Return the convolution that turns a segmentor's last feature map into class logits.

    Args:
        model (BaseModel): The segmentor.
        side (str): ``'student'`` or ``'teacher'``; begins the setting's name in messages.
        owner (str): The distiller; begins the message.
        name (str, optional): Its name in the model, such as ``'decode_head.0.conv_seg'``. Default:
            ``conv_seg`` of the decode head, the last head of a cascade.

    Returns:
        nn.Module: A module with ``in_channels`` and ``out_channels``.

    Raises:
        ConfigError: There is no such module, or it is no convolution.
    """
    setting = f'{side}_classifier'
    if name is None:
        head = decode_head_of(model, side, owner)
        module = submodule(head, 'conv_seg')
        if module is None:
            raise ConfigError(
                f"{owner} reads what enters conv_seg, which the {side}'s {type(head).__name__} "
                f"does not have; name its classifier's convolution in {setting}"
            )
        return module
    module = submodule(model, name)
    if module is None:
        modules = [name for name, _ in model.named_modules()]
        near = difflib.get_close_matches(name, modules, n=1, cutoff=0)
        raise ConfigError(
            f"{owner}: {setting}='{name}' is no module of the {side}, a "
            f"{type(model).__name__}; did you mean '{near[0]}'?"
        )
    if not (hasattr(module, 'in_channels') and hasattr(module, 'out_channels')):
        raise ConfigError(
            f"{owner}: {setting}='{name}' is a {type(module).__name__}; name the "
            'convolution that gives the class logits'
        )
    return module
