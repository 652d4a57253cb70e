"""Teachers from outside OpenMMLab: networks in a file of their own format, with their weights."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.saliency import resize_like

# Probabilities are kept this far from 0 and 1, where logits are infinite.
_MARGIN = 1e-6
_LOGITS = dict(
    none=lambda x: x,
    sigmoid=lambda x: x.clamp(_MARGIN, 1 - _MARGIN).logit(),
    softmax=lambda x: x.clamp(min=_MARGIN).log(),
)


class MapHead(nn.Module):
    """Chooses the output of a foreign network that is its map, and returns it as logits.

    Distillers find it as the teacher's ``decode_head``.

    Args:
        output (int): Index of the output.
        channels (int): Number of channels of the map.
        activation (str): What the network ends in: ``'none'``, ``'sigmoid'`` or ``'softmax'``.
    """

    align_corners = False

    def __init__(self, output: int, channels: int, activation: str) -> None:
        super().__init__()
        self.output = output
        self.out_channels = self.num_classes = channels
        self.activation = activation

    def forward(self, outputs: Sequence[Tensor]) -> Tensor:
        """Return the logits, (N, channels, h, w)."""
        return _LOGITS[self.activation](outputs[self.output].float())


class ForeignTeacher(BaseModel):
    """A network that predicts one map per image and brings its weights along.

    ``network`` returns all outputs as a tuple, which ``ModuleOutputs`` of mmrazor can record
    (``source='network'``, ``data_idx=...``); ``decode_head`` returns the map as logits, which the
    distillers of segmentors read.

    Args:
        file (str): Where the network was read from.
        network (nn.Module): Maps images (N, C, H, W), float32, to a tuple of tensors.
        data_preprocessor (dict): mean, std and channel order that the network was trained with,
            for instance ``dict(type='mmseg.SegDataPreProcessor', mean=[...], std=[...],
            bgr_to_rgb=True)``, in values of 0 to 255. Give
            ``teacher_input=dict(normalise=True)`` where the student's are different.
        size (Sequence[int], optional): Height and width to which images are resized; default: the
            student's.
        output (int): Index of the output that is the map.
        channels (int): Number of its channels.
        activation (str): What the network ends in: ``'none'`` (logits), ``'sigmoid'`` or
            ``'softmax'`` (probabilities).

    Raises:
        ConfigError: The activation is unknown.
    """

    def __init__(
        self,
        file: str,
        network: nn.Module,
        data_preprocessor: dict,
        size: Sequence[int] | None,
        output: int,
        channels: int,
        activation: str,
    ) -> None:
        if activation not in _LOGITS:
            raise ConfigError(
                f'{type(self).__name__}: activation={activation!r}; choose one of '
                f'{", ".join(map(repr, _LOGITS))}'
            )
        super().__init__(data_preprocessor)
        self.file = file
        self.network = network
        self.size = None if size is None else tuple(size)
        self.decode_head = MapHead(output, channels, activation)

    def forward(
        self, inputs: Tensor, data_samples: list | None = None, mode: str = 'tensor'
    ) -> Any:
        """Return the logits of the map, (N, channels, h, w).

        Args:
            inputs (Tensor): (N, C, H, W), normalised.
            data_samples (list, optional): Not used.
            mode (str): ``'tensor'``.

        Raises:
            ConfigError: Another mode is asked for; a foreign network is only a teacher.
        """
        if mode != 'tensor':
            raise ConfigError(
                f"{type(self).__name__} runs in mode='tensor' only, not {mode!r}; it can be a "
                'teacher, not a student'
            )
        images = inputs.float() if self.size is None else resize_like(inputs.float(), self.size)
        with torch.autocast(images.device.type, enabled=False):
            return self.decode_head(self.network(images))
