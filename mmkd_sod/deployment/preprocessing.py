"""What a test pipeline and a data preprocessor do to an image, in words that JSON can hold."""
import math
from collections.abc import Sequence
from typing import Any

from mmkd_sod.errors import ConfigError

# Transforms that leave the image as it is, by name without a scope.
_SILENT = ('LoadImageFromFile', 'LoadSODImage', 'LoadAnnotations', 'LoadSODMask', 'PackDetInputs',
           'PackSegInputs', 'PackSODInputs')
_RESIZE = dict(scale=None, scale_factor=None, keep_ratio=False, backend='cv2',
               interpolation='bilinear', clip_object_border=True)
_PAD = dict(size=None, size_divisor=None, pad_to_square=False, pad_val=dict(img=0, seg=255),
            padding_mode='constant')


def pipeline_steps(pipeline: Sequence[dict]) -> list[dict]:
    """The steps of a test pipeline that change the image.

    Args:
        pipeline (Sequence[dict]): Of a data set.

    Returns:
        list[dict]: ``kind`` ``resize`` with ``scale`` or ``factor`` (width, height) and
        ``keep_ratio``, or ``pad`` with ``size`` (width, height) or ``divisor``, and ``value`` (B,
        G, R).

    Raises:
        ConfigError: A transform does something else.
    """
    steps = []
    for transform in pipeline:
        options = dict(transform)
        options.pop('_scope_', None)
        name = str(options.pop('type')).rpartition('.')[2]
        if name == 'Resize':
            steps.append(_resize({**_RESIZE, **options}))
        elif name == 'Pad':
            steps.append(_pad({**_PAD, **options}))
        elif name not in _SILENT:
            raise ConfigError(f'ship: the test pipeline has {name}, and the predictor knows Resize '
                              'and Pad alone; take it out of test_dataloader.dataset.pipeline')
    return steps


def _sides(value, kind: str) -> list | None:
    """Width and height of a setting that is one number, two or none."""
    if value is None:
        return None
    sides = [value, value] if isinstance(value, (int, float)) else list(value)
    if len(sides) != 2 or not all(0 < side < math.inf for side in sides):
        raise ConfigError(f'ship: {kind} of {value} in the test pipeline is not understood; give '
                          'width and height')
    return sides


def _resize(options: dict) -> dict:
    if options['backend'] != 'cv2' or options['interpolation'] != 'bilinear':
        raise ConfigError(f"ship: Resize with backend={options['backend']} and interpolation="
                          f"{options['interpolation']} is not what the predictor does; use cv2 and "
                          'bilinear in the test pipeline')
    return dict(kind='resize', keep_ratio=bool(options['keep_ratio']),
                scale=_sides(options['scale'], 'Resize.scale'),
                factor=_sides(options['scale_factor'], 'Resize.scale_factor'))


def _pad(options: dict) -> dict:
    if options['pad_to_square'] or options['padding_mode'] != 'constant':
        raise ConfigError('ship: Pad of the test pipeline fills to a square or by the image '
                          'itself, and the predictor by a constant to a size or divisor; set one '
                          'of them')
    value = options['pad_val']
    value = value.get('img', 0) if isinstance(value, dict) else value
    return dict(kind='pad', size=_sides(options['size'], 'Pad.size'),
                divisor=options['size_divisor'],
                value=[value] * 3 if isinstance(value, (int, float)) else list(value))


def final_fill(preprocessor: Any) -> dict:
    """How a data preprocessor fills one image in testing.

    Args:
        preprocessor (nn.Module): Of mmdet or mmseg.

    Returns:
        dict: ``size`` (width, height) or ``divisor``, and ``value`` (R, G, B) before normalisation.

    Raises:
        ConfigError: The preprocessor takes more than one image of three channels.
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
        raise ConfigError(f'ship: the data preprocessor {kind.__name__} is not that of one RGB '
                          'image; DetDataPreprocessor, SegDataPreProcessor and '
                          'SODDataPreprocessor are')
    mean, std = (getattr(preprocessor, name, None) for name in ('mean', 'std'))
    value = [float(pad)] * 3
    if mean is not None and std is not None:
        # The fill is told in normalised values; the network normalises what the predictor fills.
        value = (mean.flatten() + pad * std.flatten()).tolist()
    if not getattr(preprocessor, 'channel_conversion',
                   getattr(preprocessor, '_channel_conversion', False)):
        value = value[::-1]
    return dict(size=size, divisor=divisor, value=value)


def is_fixed(recipe: dict) -> bool:
    """Whether images of every size lead to inputs of one size."""
    fixed = False
    for step in recipe['steps']:
        if step['kind'] == 'resize':
            fixed = step['scale'] is not None and not step['keep_ratio']
        elif step['size'] is not None:
            # Padding never cuts: the size is only reached when the image fits into it.
            fixed = True
    return fixed or recipe['fill']['size'] is not None
