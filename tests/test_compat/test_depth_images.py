"""Depth maps are written under names of any bytes."""

import os

import cv2
import numpy as np
import torch
from mmseg.evaluation.metrics import DepthMetric


def test_names_of_any_bytes(tmp_path):
    metric = DepthMetric(output_dir=str(tmp_path), format_only=True, depth_scale_factor=100.0)
    depth = torch.arange(12.0).reshape(1, 3, 4)
    path = str(tmp_path / os.fsdecode(b'in\xff.jpg'))
    metric.process({}, [dict(pred_depth_map=dict(data=depth), img_path=path)])
    (written,) = tmp_path.iterdir()
    assert os.fsencode(written.name) == b'in\xff.png'
    content = np.frombuffer(written.read_bytes(), np.uint8)
    found = cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
    assert found.dtype == np.uint16 and np.array_equal(found, depth[0].numpy() * 100)
