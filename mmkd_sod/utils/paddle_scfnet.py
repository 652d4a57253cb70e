"""Converting released SCFNet weights (Paddle) to checkpoints of this project.

========================================  ==================================================
name in Paddle                            name here
========================================  ==================================================
``bkbone.blocks.<i>.bottleneck_conv.*``   ``backbone.blocks.<i>.depthwise_conv.*``
``bkbone.blocks.<i>.mid_se.*``            ``backbone.blocks.<i>.se.*``
``bkbone.*`` otherwise                    ``backbone.*`` (ResNet-50 has mmseg's names)
``mp.cv1`` ... ``mp.cv4``                 ``decode_head.lateral_convs.0`` (stride 4) ... ``3``
``cv1``                                   ``decode_head.context_conv``
``de1``, ``de2``, ``de3``                 ``decode_head.fusions.0`` (finest), ``.1``, ``.2``
``de<i>.cv1``, ``.cv2``, ``.cv3``         ``...high_conv``, ``.low_conv``, ``.out_conv``
``linear2``                               ``decode_head.conv_seg`` (finest)
``linear3``, ``linear4``, ``linear5``     ``decode_head.conv_side.0``, ``.1``, ``.2``
``<block>.0.*``, ``<block>.1.*``          ``<block>.conv.*``, ``<block>.bn.*`` (decoder)
``_mean``, ``_variance``                  ``running_mean``, ``running_var``
========================================  ==================================================

The ImageNet release of MobileNetV3 (names without ``bkbone.``) becomes a checkpoint of the backbone
without ``last_second_conv``, ``last_conv`` and ``fc``.
"""

import re

import numpy as np
import torch

from mmkd_sod.errors import CheckpointError

# The first matching pattern renames a name.
_DECODER = (
    (r'mp\.cv(\d)\.', lambda m: f'decode_head.lateral_convs.{int(m[1]) - 1}.'),
    (r'cv1\.', lambda m: 'decode_head.context_conv.'),
    (
        r'de(\d)\.cv(\d)\.',
        lambda m: (
            f'decode_head.fusions.{int(m[1]) - 1}.{("high", "low", "out")[int(m[2]) - 1]}_conv.'
        ),
    ),
    (r'linear2\.', lambda m: 'decode_head.conv_seg.'),
    (r'linear(\d)\.', lambda m: f'decode_head.conv_side.{int(m[1]) - 3}.'),
)
_CLASSIFIER = ('last_second_conv.', 'last_conv.', 'fc.')


def _rename_backbone(name: str) -> str:
    return name.replace('.bottleneck_conv.', '.depthwise_conv.').replace('.mid_se.', '.se.')


def _rename(name: str) -> str | None:
    """Return the new name of a parameter, or None if the released networks do not have it."""
    for paddle, torch_name in (('_mean', 'running_mean'), ('_variance', 'running_var')):
        if name.endswith(f'.{paddle}'):
            name = name[: -len(paddle)] + torch_name
    if name.startswith('bkbone.'):
        return 'backbone.' + _rename_backbone(name[len('bkbone.') :])
    for pattern, target in _DECODER:
        match = re.match(pattern, name)
        if match:
            rest = name[match.end() :]
            rest = re.sub(r'^0\.', 'conv.', re.sub(r'^1\.', 'bn.', rest))
            return target(match) + rest
    return None


def convert_scfnet(arrays: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """Rename the weights of a released SCFNet or of its pretrained MobileNetV3.

    Args:
        arrays (dict): Arrays by Paddle's names, as
            ``mmkd_sod.utils.array_pickle.load_array_pickle`` returns them.

    Returns:
        dict: State dict of mmseg's ``EncoderDecoder`` with an ``SCFHead``, or of
        ``PaddleMobileNetV3`` for weights of that backbone. The order of dimensions is the same.

    Raises:
        CheckpointError: A name does not belong to these networks.
    """
    backbone_only = 'conv.conv.weight' in arrays
    state = {}
    for name, array in arrays.items():
        if backbone_only and name.startswith(_CLASSIFIER):
            continue
        target = _rename(f'bkbone.{name}' if backbone_only else name) or ''
        if backbone_only:
            target = target.removeprefix('backbone.')
        if not target:
            raise CheckpointError(
                f'the weights hold {name!r}, which SCFNet does not have; give a '
                'file of SCFNet or of its pretrained MobileNetV3'
            )
        # A copy, since torch needs writable arrays.
        state[target] = torch.from_numpy(np.array(array, dtype=array.dtype.newbyteorder('=')))
    return state
