"""Describing a model for the predictor: task, preprocessing and postprocessing."""

from dataclasses import dataclass

from mmengine.config import Config
from torch import nn

from mmkd_sod.errors import ConfigError

from .networks import DetectionNetwork, ImageNetwork, SegmentationNetwork
from .pooling import with_exportable_pooling
from .preprocessing import final_fill, pipeline_steps

# Colours (R, G, B) for data sets without a palette.
_COLOURS = [
    (0, 114, 178),
    (213, 94, 0),
    (0, 158, 115),
    (204, 121, 167),
    (230, 159, 0),
    (86, 180, 233),
    (240, 228, 66),
    (90, 90, 90),
]


@dataclass
class Recipe:
    """A network to export, and the content of `model.json`.

    Attributes:
        network (ImageNetwork): Network in eval mode.
        spec (dict): ``task``, ``classes``, ``palette``, ``input`` (see ``predict.prepare``)
            and ``output`` (see the function of the task in ``predict``).
    """

    network: ImageNetwork
    spec: dict


def make_recipe(cfg: Config, model: nn.Module, dataset_meta: dict, loader: str) -> Recipe:
    """Return the recipe of a plain model.

    Args:
        cfg (Config): The whole config of the plain model.
        model (nn.Module): The model with its weights, in eval mode.
        dataset_meta (dict): ``classes`` and optionally ``palette``.
        loader (str): Key of the data loader with the test pipeline.

    Raises:
        ConfigError: The predictor does not support the model or its pipeline.
    """
    from mmdet.models.detectors import SingleStageDetector
    from mmseg.models.segmentors import EncoderDecoder

    # First, since it refuses unsupported configs quickly.
    pictures = dict(
        steps=pipeline_steps(_pipeline(cfg[loader].dataset)),
        fill=final_fill(model.data_preprocessor),
    )
    model = with_exportable_pooling(model)
    if isinstance(model, SingleStageDetector):
        if type(model).predict is not SingleStageDetector.predict:
            raise ConfigError(
                f'ship: {type(model).__name__} has its own predict method, which is '
                'not supported; ship a single-stage detector such as GFL, RetinaNet, '
                'ATSS or FCOS'
            )
        detector = DetectionNetwork(model)
        network: ImageNetwork = detector
        task, output = 'detection', _detection_output(detector)
    elif isinstance(model, EncoderDecoder):
        if model.test_cfg.get('mode', 'whole') != 'whole':
            raise ConfigError(
                f"ship: test_cfg.mode='{model.test_cfg.mode}' is not supported; set "
                "model.test_cfg.mode='whole'"
            )
        task = 'saliency' if _is_saliency(cfg, model) else 'segmentation'
        network = segmentor = SegmentationNetwork(model, saliency=task == 'saliency')
        output = dict(align_corners=segmentor.align_corners)
        if task == 'segmentation':
            output['threshold'] = getattr(segmentor.heads[-1], 'threshold', None)
    else:
        raise ConfigError(
            f'ship: {type(model).__name__} is not supported; ship a single-stage '
            'detector of mmdet or an EncoderDecoder of mmseg'
        )
    classes = ['salient'] if task == 'saliency' else list(dataset_meta.get('classes') or ())
    palette = dataset_meta.get('palette') if task != 'saliency' else None
    if not isinstance(palette, (list, tuple)) or len(palette) < len(classes):
        palette = [_COLOURS[i % len(_COLOURS)] for i in range(max(len(classes), 1))]
    spec = dict(
        task=task,
        classes=classes,
        palette=[list(map(int, c)) for c in palette],
        input=pictures,
        output=output,
    )
    return Recipe(network.eval(), spec)


def _pipeline(dataset: dict) -> list[dict]:
    """Return the pipeline of a data set or of the one that it wraps."""
    while 'pipeline' not in dataset:
        inner = dataset.get('dataset') or next(iter(dataset.get('datasets') or ()), None)
        if inner is None:
            raise ConfigError(
                'ship: the data set has no pipeline; the predictor needs one; set '
                'test_dataloader.dataset.pipeline'
            )
        dataset = inner
    return dataset['pipeline']


def _is_saliency(cfg: Config, model: nn.Module) -> bool:
    """Return whether a model predicts saliency: one or two channels, evaluated by SODMetric."""
    evaluators = cfg.get('test_evaluator') or cfg.get('val_evaluator') or []
    evaluators = evaluators if isinstance(evaluators, (list, tuple)) else [evaluators]
    return model.out_channels in (1, 2) and any(
        str(evaluator.get('type')).endswith('SODMetric') for evaluator in evaluators
    )


def _detection_output(network: DetectionNetwork) -> dict:
    """Return the settings of mmdet's postprocessing from ``test_cfg``.

    Raises:
        ConfigError: ``nms`` is not plain non-maximum suppression.
    """
    settings = network.head.test_cfg
    options = dict(settings.get('nms') or {})
    # split_thr does not change the result.
    options.pop('split_thr', None)
    kind, threshold = options.pop('type', 'nms'), options.pop('iou_threshold', None)
    agnostic = options.pop('class_agnostic', False)
    if kind != 'nms' or threshold is None or options:
        raise ConfigError(
            f'ship: test_cfg.nms={dict(settings.get("nms") or {})} is not supported; '
            "set it to dict(type='nms', iou_threshold=...)"
        )
    return dict(
        levels=network.levels,
        score_thr=settings.get('score_thr', 0),
        nms_pre=settings.get('nms_pre', -1),
        min_bbox_size=settings.get('min_bbox_size', -1),
        iou_threshold=threshold,
        class_agnostic=agnostic,
        max_per_img=settings.get('max_per_img', -1),
        clip=bool(getattr(network.head.bbox_coder, 'clip_border', True)),
    )
