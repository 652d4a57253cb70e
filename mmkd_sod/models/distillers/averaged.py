"""The average of several teachers, as one more teacher."""
from collections.abc import Mapping, Sequence

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.saliency import resize_like

from .recorders import MethodRecorder

# The head whose outputs are a model's logits, by kind of model.
_HEADS = ('decode_head', 'bbox_head')


def average_logits(outputs: Sequence):
    """Mean of what several heads gave.

    Args:
        outputs (Sequence): One output a head: tensors (N, C, H, W), or lists, tuples or dicts of
            them. Maps of another size are resized bilinearly to those of the first head. Lists of
            different length are cut to the shortest (saliency heads give their finest map first).

    Returns:
        What the first head gave, averaged, without gradient.

    Raises:
        ConfigError: Batches or channels differ, or the heads give different things.
    """
    first = outputs[0]
    if any(type(output) is not type(first) for output in outputs):
        # One map, as most segmentors give it, beside several.
        kinds = {type(output).__name__ for output in outputs}
        if not kinds <= {'Tensor', 'list', 'tuple'}:
            raise ConfigError(f'AveragedTeachers: the heads give {sorted(kinds)}, which have no '
                              'average; average teachers of one kind')
        return average_logits([[output] if isinstance(output, Tensor) else list(output)
                               for output in outputs])
    if isinstance(first, Tensor):
        shapes = [tuple(output.shape) for output in outputs]
        if any(shape[:2] != shapes[0][:2] or len(shape) != len(shapes[0]) for shape in shapes):
            raise ConfigError(f'AveragedTeachers: logits need equal batches and channels, got '
                              f'{shapes}; average teachers of the same classes and head')
        with torch.no_grad():
            if first.dim() == 4:
                outputs = [resize_like(output, first.shape[2:]) for output in outputs]
            return torch.stack([output.detach().float() for output in outputs]).mean(0)
    if isinstance(first, dict):
        return {key: average_logits([output[key] for output in outputs]) for key in first}
    if not isinstance(first, (list, tuple)):
        raise ConfigError(f'AveragedTeachers: a head gives a {type(first).__name__}, which has no '
                          'average; choose a distiller with one teacher')
    return type(first)(average_logits(levels) for levels in zip(*outputs, strict=False))


class _Classifier(nn.Module):
    """Stands where a head's last convolution would: gives the averaged logits as they are."""

    def __init__(self, out_channels: int) -> None:
        super().__init__()
        self.out_channels = out_channels

    @property
    def in_channels(self) -> int:
        raise ConfigError('AveragedTeachers: an average of teachers has logits and no features; '
                          'set loss_feat=None, or compare features with one teacher')

    def forward(self, logits: Tensor) -> Tensor:
        return logits


class AveragedHead(nn.Module):
    """A head whose forward gives the average that it is handed.

    What must agree between the heads, and is asked by distillers, can be read of it.
    """

    def __init__(self, heads: Mapping[str, nn.Module]) -> None:
        super().__init__()
        for name in ('out_channels', 'num_classes', 'align_corners', 'cls_out_channels'):
            found = {owner: getattr(head, name) for owner, head in heads.items()
                     if hasattr(head, name)}
            if len(set(found.values())) > 1:
                raise ConfigError(f'AveragedTeachers: {name} of the heads must agree, got {found}; '
                                  'average teachers of the same classes and head')
            if found:
                setattr(self, name, next(iter(found.values())))
        if hasattr(self, 'out_channels'):
            self.conv_seg = _Classifier(self.out_channels)

    def forward(self, logits):
        """Hand on what was averaged."""
        if isinstance(logits, Tensor) and hasattr(self, 'conv_seg'):
            return self.conv_seg(logits)
        return logits


class AveragedTeachers(nn.Module):
    """Several teachers as one, whose head gives the mean of their logits.

    It runs no teacher: it records what each head gave in the step and hands the average, on the
    grid of the first teacher, to a head of its own, ``decode_head`` or ``bbox_head``, where a
    distiller reads it as that of any teacher. It has no backbone, neck or towers: a distiller of
    features, and CrossKD, refuse it. Logits are averaged, not probabilities; a teacher of larger
    logits counts more.

    Args:
        teachers (Mapping[str, BaseModel]): By name; all segmentors of mmseg, or all detectors of
            mmdet with one head, of the same classes.

    Raises:
        ConfigError: A teacher has no such head, or the heads differ in what they predict.
    """

    def __init__(self, teachers: Mapping[str, BaseModel]) -> None:
        super().__init__()
        kind = next((kind for kind in _HEADS
                     if all(hasattr(model, kind) for model in teachers.values())), None)
        if kind is None:
            kinds = {name: type(model).__name__ for name, model in teachers.items()}
            raise ConfigError(f'AveragedTeachers: the teachers {kinds} have no head in common, of '
                              f'{" and ".join(_HEADS)}; average teachers of one kind')
        heads = {name: getattr(model, kind) for name, model in teachers.items()}
        heads = {name: head[-1] if isinstance(head, nn.ModuleList) else head
                 for name, head in heads.items()}
        self._head_name = kind
        self._recorders = {name: MethodRecorder(head, 'forward') for name, head in heads.items()}
        self.add_module(kind, AveragedHead(heads))

    def recorder(self, name: str) -> MethodRecorder:
        """Context in which the teacher of that name runs."""
        return self._recorders[name]

    def forward(self) -> None:
        """Average what was recorded.

        Raises:
            ConfigError: A teacher's head was not run, or the outputs have no average.
        """
        lacking = [name for name, recorder in self._recorders.items() if not recorder.data]
        if lacking:
            raise ConfigError(f"AveragedTeachers: the head of teacher '{lacking[0]}' was not run "
                              'in its forward pass; average other teachers')
        head = self.get_submodule(self._head_name)
        with torch.no_grad():
            head(average_logits([recorder.data[-1] for recorder in self._recorders.values()]))

    def clear(self) -> None:
        """Forget what was recorded."""
        for recorder in self._recorders.values():
            recorder.clear()
