"""A teacher's backbone and neck with weights of half precision, for large teachers."""

from torch import dtype as Dtype
from torch import nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.utils.tensors import map_tensors


def halve_extractors(teacher: nn.Module, dtype: Dtype) -> None:
    """Keep the weights of backbone and neck in half precision and run them in it.

    Halves the memory of these weights, most of a large teacher's. Their outputs are float32 again,
    so that heads, recorders and losses are those of a teacher in float32.

    Args:
        teacher (nn.Module): A frozen detector or segmentor, on its device, with its weights.
        dtype (torch.dtype): ``torch.bfloat16`` or ``torch.float16``.

    Raises:
        ConfigError: It has neither backbone nor neck.
    """
    children = dict(teacher.named_children())
    parts = [children[name] for name in ('backbone', 'neck') if name in children]
    if not parts:
        raise ConfigError(
            f'DenseDistill: teacher_dtype is set, but {type(teacher).__name__} has neither '
            'backbone nor neck; leave the option out'
        )

    def halved(_, args):
        return map_tensors(args, lambda x: x.to(dtype) if x.is_floating_point() else x)

    def widened(_, args, output):
        return map_tensors(output, lambda x: x.float() if x.is_floating_point() else x)

    for part in parts:
        part.to(dtype)
        part.register_forward_pre_hook(halved)
        # Before the hooks of recorders.
        part.register_forward_hook(widened, prepend=True)
