"""Small detectors with every supported head, and records of one training step."""

import copy
import functools
from dataclasses import dataclass

import torch
from mmengine.logging import MessageHub
from mmengine.registry import init_default_scope

from mmkd_sod.models.builder import build_model
from mmkd_sod.models.distillers import MethodRecorder
from mmkd_sod.models.recorders import recording
from mmkd_sod.models.task_modules import DensePredictions, DenseTargets, HeadReader, find_reader
from mmkd_sod.testing.small_detectors import random_batch, small_detector


@functools.cache
def built(name):
    """Build a small detector with random weights, in eval mode."""
    init_default_scope('mmdet')
    # TOOD reads the epoch of the current run: here one after its first stage.
    MessageHub.get_current_instance().update_info('epoch', 10)
    torch.manual_seed(1)
    model = build_model(small_detector(name))
    model.eval()  # LD's and LAD's detectors return nothing here
    return model


@dataclass
class Step:
    """One training step of a head, its BN layers in eval mode."""

    model: torch.nn.Module
    reader: HeadReader
    predictions: DensePredictions
    targets: DenseTargets
    records: dict
    losses: dict
    data: dict


def record(name, **batch) -> Step:
    """Return the reader of a head and its outputs in one training step."""
    model = built(name)
    head, reader = model.bbox_head, find_reader(model.bbox_head, 'student')
    data = model.data_preprocessor(random_batch(**batch), training=True)
    recorders = {key: MethodRecorder(*source) for key, source in reader.target_sources().items()}
    head.train()
    for module in head.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.eval()
    with recording(recorders) as records, MethodRecorder(head, 'forward') as outputs:
        losses = model(**copy.deepcopy(data), mode='loss')
    head.eval()
    with torch.no_grad():
        predictions = reader.flatten(outputs[0])
    return Step(
        model, reader, predictions, reader.targets(records, predictions), records, losses, data
    )
