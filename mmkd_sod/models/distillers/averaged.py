"""The average of several teachers, as one more teacher."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.recorders import MethodRecorder
from mmkd_sod.models.saliency import resize_like
from mmkd_sod.models.submodules import last_head

# The heads whose outputs are a model's logits.
_HEADS = ('decode_head', 'bbox_head')
# Attributes of heads that must agree, and that distillers read from the averaged head.
_AGREEING = ('out_channels', 'num_classes', 'align_corners', 'cls_out_channels')


def average_logits(outputs: Sequence):
    """Return the mean of the outputs of several heads.

    Args:
        outputs (Sequence): One output per head: tensors (N, C, H, W), or lists, tuples or dicts of
            them. Maps of another size are resized bilinearly to those of the first head. Lists of
            different length are cut to the shortest (saliency heads return the finest map first).

    Returns:
        The average, structured as the first head's output, without gradient.

    Raises:
        ConfigError: Batches or channels differ, or the outputs are of different types.
    """
    first = outputs[0]
    if any(type(output) is not type(first) for output in outputs):
        # Most segmentors return one map, some several.
        kinds = {type(output).__name__ for output in outputs}
        if not kinds <= {'Tensor', 'list', 'tuple'}:
            raise ConfigError(
                f'AveragedTeachers: the heads return {sorted(kinds)}, which have no '
                'average; average teachers of one kind'
            )
        return average_logits(
            [[output] if isinstance(output, Tensor) else list(output) for output in outputs]
        )
    if isinstance(first, Tensor):
        shapes = [tuple(output.shape) for output in outputs]
        if any(shape[:2] != shapes[0][:2] or len(shape) != len(shapes[0]) for shape in shapes):
            raise ConfigError(
                f'AveragedTeachers: logits need equal batches and channels, got '
                f'{shapes}; average teachers of the same classes and head'
            )
        with torch.no_grad():
            if first.dim() == 4:
                outputs = [resize_like(output, first.shape[2:]) for output in outputs]
            return torch.stack([output.detach().float() for output in outputs]).mean(0)
    if isinstance(first, dict):
        return {key: average_logits([output[key] for output in outputs]) for key in first}
    if not isinstance(first, (list, tuple)):
        raise ConfigError(
            f'AveragedTeachers: a head returns a {type(first).__name__}, which has '
            'no average; choose a distiller with one teacher'
        )
    return type(first)(average_logits(levels) for levels in zip(*outputs, strict=False))


class _Classifier(nn.Module):
    """Takes the place of a head's last convolution and returns the averaged logits unchanged."""

    def __init__(self, out_channels: int) -> None:
        super().__init__()
        self.out_channels = out_channels

    @property
    def in_channels(self) -> int:
        raise ConfigError(
            'AveragedTeachers: an average of teachers has logits and no features; '
            'set loss_feat=None, or compare features with one teacher'
        )

    def forward(self, logits: Tensor) -> Tensor:
        return logits


class AveragedHead(nn.Module):
    """A head whose forward returns the average that it is given.

    It has those of the attributes ``out_channels``, ``num_classes``, ``align_corners`` and
    ``cls_out_channels`` that all heads have.

    Args:
        heads (Mapping[str, nn.Module]): The teachers' heads by the teachers' names.

    Raises:
        ConfigError: An attribute differs between the heads.
    """

    out_channels: int

    def __init__(self, heads: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.conv_seg: _Classifier | None = None
        for name in _AGREEING:
            found = {owner: vars(head)[name] for owner, head in heads.items() if name in vars(head)}
            if len(set(found.values())) > 1:
                raise ConfigError(
                    f'AveragedTeachers: {name} of the heads must agree, got {found}; '
                    'average teachers of the same classes and head'
                )
            if found:
                setattr(self, name, next(iter(found.values())))
        if 'out_channels' in vars(self):
            self.conv_seg = _Classifier(self.out_channels)

    def forward(self, logits):
        """Return the average."""
        if isinstance(logits, Tensor) and self.conv_seg is not None:
            return self.conv_seg(logits)
        return logits


class AveragedTeachers(nn.Module):
    """Several teachers as one, whose head returns the mean of their logits.

    It runs no teacher: it is given the outputs of their heads and passes the average, on the grid
    of the first teacher, through a head of its own, ``decode_head`` or ``bbox_head``, where a
    distiller records it as that of any teacher. It has no backbone, neck or towers: a distiller of
    features, and CrossKD, refuse it. Logits are averaged, not probabilities, so a teacher with
    larger logits has more influence.

    Args:
        teachers (Mapping[str, BaseModel]): By name; all segmentors of mmseg, or all detectors of
            mmdet with one head, of the same classes.

    Raises:
        ConfigError: A teacher has no such head, or the heads differ in what they predict.
    """

    def __init__(self, teachers: Mapping[str, BaseModel]) -> None:
        super().__init__()
        heads: dict[str, dict[str, Any]] = {
            kind: {name: last_head(model, kind) for name, model in teachers.items()}
            for kind in _HEADS
        }
        kind = next((kind for kind in _HEADS if None not in heads[kind].values()), None)
        if kind is None:
            kinds = {name: type(model).__name__ for name, model in teachers.items()}
            raise ConfigError(
                f'AveragedTeachers: the teachers {kinds} have no head in common, of '
                f'{" and ".join(_HEADS)}; average teachers of one kind'
            )
        self._head = kind
        self._recorders = {
            name: MethodRecorder(head, 'forward') for name, head in heads[kind].items()
        }
        self.add_module(kind, AveragedHead(heads[kind]))

    def recorder(self, name: str) -> MethodRecorder:
        """Return the recorder of the head's outputs for the teacher of this name."""
        return self._recorders[name]

    def forward(self, outputs: Mapping[str, list]) -> None:
        """Average.

        Args:
            outputs (Mapping[str, list]): What the recorders kept, by the teachers' names.

        Raises:
            ConfigError: A teacher's head was not run, or the outputs have no average.
        """
        missing = [name for name, calls in outputs.items() if not calls]
        if missing:
            raise ConfigError(
                f"AveragedTeachers: the head of teacher '{missing[0]}' was not run "
                'in its forward pass; average other teachers'
            )
        with torch.no_grad():
            self.get_submodule(self._head)(
                average_logits([calls[-1] for calls in outputs.values()])
            )
