"""Describing a test pipeline and a data preprocessor as JSON data for the predictor."""

import math
from collections.abc import Sequence
from typing import Any

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.data_preprocessors.normalisation import normalisation_of

# Transforms that do not change the image, by name without scope.
_IGNORED = (
    'LoadImageFromFile',
    'LoadSODImage',
    'LoadAnnotations',
    'LoadSODMask',
    'PackDetInputs',
    'PackSegInputs',
    'PackSODInputs',
)
_RESIZE = dict(
    scale=None,
    scale_factor=None,
    keep_ratio=False,
    backend='cv2',
    interpolation='bilinear',
    clip_object_border=True,
)
_PAD = dict(
    size=None,
    size_divisor=None,
    pad_to_square=False,
    pad_val=dict(img=0, seg=255),
    padding_mode='constant',
)


def pipeline_steps(pipeline: Sequence[dict]) -> list[dict]:
    """Return the steps of a test pipeline that change the image.

    Args:
        pipeline (Sequence[dict]): Pipeline of a data set.

    Returns:
        list[dict]: Steps of ``kind`` ``resize``, with ``scale`` or ``factor`` (width, height) and
        ``keep_ratio``, or ``pad``, with ``size`` (width, height) or ``divisor``, and ``value`` (B,
        G, R).

    Raises:
        ConfigError: The predictor does not support a transform.
    """
    steps = []
    for transform in pipeline:
        options = dict(transform)
        options.pop('_scope_', None)
        name = str(options.pop('type')).rpartition('.')[2]
        if name == 'Resize':
            steps.append(_resize({**_RESIZE, **options}))
        elif name == 'Pad':
            steps.append(_pad({**_PAD, **options}, steps[-1] if steps else None))
        elif name not in _IGNORED:
            raise ConfigError(
                f'ship: the test pipeline has {name}; the predictor supports Resize '
                'and Pad only; remove it from test_dataloader.dataset.pipeline'
            )
    return steps


def _sides(value, kind: str) -> list | None:
    """Return width and height of a setting that is one number, two numbers or None."""
    if value is None:
        return None
    sides = [value, value] if isinstance(value, (int, float)) else list(value)
    if len(sides) != 2 or not all(0 < side < math.inf for side in sides):
        raise ConfigError(
            f'ship: {kind}={value} in the test pipeline is not supported; set width and height'
        )
    return sides


def _resize(options: dict) -> dict:
    if options['backend'] != 'cv2' or options['interpolation'] != 'bilinear':
        raise ConfigError(
            f'ship: Resize with backend={options["backend"]} and interpolation='
            f'{options["interpolation"]} is not supported; use cv2 and bilinear in '
            'the test pipeline'
        )
    return dict(
        kind='resize',
        keep_ratio=bool(options['keep_ratio']),
        scale=_sides(options['scale'], 'Resize.scale'),
        factor=_sides(options['scale_factor'], 'Resize.scale_factor'),
    )


def _square(before: dict | None, divisor: int | None) -> list:
    """Return the size of ``Pad(pad_to_square=True)`` after a Resize that fixes the longer side."""
    resize = before if before is not None and before['kind'] == 'resize' else {}
    scale = resize.get('scale')
    if not scale or (resize['keep_ratio'] and scale[0] != scale[1]):
        raise ConfigError(
            'ship: Pad with pad_to_square has no fixed size, since no Resize to a scale of equal '
            'sides stands before it; set Resize.scale=(side, side), or Pad with size=(side, side)'
        )
    side = -(-max(scale) // (divisor or 1)) * (divisor or 1)
    return [side, side]


def _pad(options: dict, before: dict | None) -> dict:
    if options['padding_mode'] != 'constant':
        raise ConfigError(
            f'ship: Pad with padding_mode={options["padding_mode"]} is not supported; use '
            "padding_mode='constant' in the test pipeline"
        )
    if options['pad_to_square']:
        size = _square(before, options['size_divisor'])
        options = {**options, 'size': size, 'size_divisor': None}
    value = options['pad_val']
    value = value.get('img', 0) if isinstance(value, dict) else value
    return dict(
        kind='pad',
        size=_sides(options['size'], 'Pad.size'),
        divisor=options['size_divisor'],
        value=[value] * 3 if isinstance(value, (int, float)) else list(value),
    )


def final_fill(preprocessor: Any) -> dict:
    """Return how a data preprocessor pads one image in testing.

    Args:
        preprocessor (nn.Module): Data preprocessor of mmdet, mmseg or this package.

    Returns:
        dict: ``size`` (width, height) or ``divisor``, and ``value`` (R, G, B) before normalisation.

    Raises:
        ConfigError: The preprocessor is not one of RGB images.
    """
    from mmdet.models import DetDataPreprocessor
    from mmseg.models import SegDataPreProcessor

    from mmkd_sod.models.data_preprocessors import SODDataPreprocessor

    kind = type(preprocessor)
    if kind is DetDataPreprocessor:
        size, divisor, pad = None, preprocessor.pad_size_divisor, preprocessor.pad_value
    elif kind in (SegDataPreProcessor, SODDataPreprocessor):
        settings = preprocessor.test_cfg or {}
        size, divisor = settings.get('size'), settings.get('size_divisor')
        size, pad = size and list(size)[::-1], preprocessor.pad_val
    else:
        raise ConfigError(
            f'ship: the data preprocessor {kind.__name__} is not supported; use '
            'DetDataPreprocessor, SegDataPreProcessor or SODDataPreprocessor'
        )
    found = normalisation_of(preprocessor)
    value = [float(pad)] * 3
    if found.mean is not None and found.std is not None:
        # Padding values are normalised ones, but the predictor pads before normalisation.
        value = [mean + pad * std for mean, std in zip(found.mean, found.std, strict=True)]
    return dict(size=size, divisor=divisor, value=value if found.swap else value[::-1])


def is_fixed(recipe: dict) -> bool:
    """Return whether images of any size are resized or padded to one input size."""
    fixed = False
    for step in recipe['steps']:
        if step['kind'] == 'resize':
            fixed = step['scale'] is not None and not step['keep_ratio']
        elif step['size'] is not None:
            # Assumes that images fit into the size, since padding never crops.
            fixed = True
    return fixed or recipe['fill']['size'] is not None
