"""The exported script preprocesses and postprocesses as mmdet, mmseg and mmcv do."""

import ast
import sys

import cv2
import mmcv
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmcv.ops import nms as mmcv_nms
from mmcv.transforms import Resize
from mmdet.datasets.transforms import Pad
from mmdet.models import DetDataPreprocessor

from mmkd_sod.deployment import predict
from mmkd_sod.deployment.preprocessing import final_fill, pipeline_steps


def random_image(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_imports_nothing_but_numpy_opencv_and_onnxruntime():
    with open(predict.__file__, encoding='utf-8') as file:
        tree = ast.parse(file.read())
    names = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    foreign = {name for name in names if name.split('.')[0] not in sys.stdlib_module_names}
    assert foreign == {'numpy', 'cv2', 'onnxruntime'}


@pytest.mark.parametrize('threshold', [0.0, 0.3, 0.6, 1.0])
@pytest.mark.parametrize('count', [1, 2, 300])
def test_nms_is_mmcvs(threshold, count):
    rng = np.random.default_rng(count)
    corner = rng.uniform(0, 100, (count, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(0, 60, (count, 2))], 1).astype(np.float32)
    scores = rng.permutation(count).astype(np.float32)
    expected = mmcv_nms(torch.from_numpy(boxes), torch.from_numpy(scores), threshold)[1]
    assert predict.nms(boxes, scores, threshold).tolist() == expected.tolist()


def test_nms_by_hand():
    # The second overlaps the first by 1/2 of their union, the third not at all.
    boxes = np.array([[0, 0, 3, 1], [1, 0, 4, 1], [9, 9, 10, 10]], np.float32)
    scores = np.array([0.5, 0.9, 0.7], np.float32)
    assert predict.nms(boxes, scores, 0.5).tolist() == [1, 2, 0]
    assert predict.nms(boxes, scores, 0.49).tolist() == [1, 2]


@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize('size', [(12, 20), (24, 40), (33, 7), (6, 10), (1, 1), (5, 50)])
def test_maps_are_resized_as_torch_does(size, align_corners):
    maps = np.random.default_rng(0).normal(size=(6, 12, 20)).astype(np.float32)
    expected = F.interpolate(
        torch.from_numpy(maps)[None], size, mode='bilinear', align_corners=align_corners
    )[0].numpy()
    found = predict.resize_maps(maps, *size, align_corners=align_corners)
    np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize('shape', [(48, 64), (75, 50), (33, 101)])
@pytest.mark.parametrize(
    'pipeline',
    [
        [dict(type='Resize', scale=(80, 60), keep_ratio=False)],
        [dict(type='mmdet.Resize', scale=(90, 40), keep_ratio=True)],
        [dict(type='Resize', scale=64, keep_ratio=True)],
        [dict(type='Resize', scale_factor=(1.5, 0.5))],
        [
            dict(type='Resize', scale=(80, 60), keep_ratio=True),
            dict(type='mmdet.Pad', size=(100, 90), pad_val=dict(img=(114, 114, 114))),
        ],
        [dict(type='mmdet.Pad', size_divisor=16)],
        [],
    ],
    ids=range(7),
)
def test_images_are_prepared_as_the_pipeline_does(shape, pipeline):
    image = random_image(*shape)
    results = dict(img=image.copy(), img_shape=shape)
    for transform in pipeline:
        options = {k: v for k, v in transform.items() if k != 'type'}
        kind = Resize if transform['type'].endswith('Resize') else Pad
        results = kind(**options)(results)
    preprocessor = DetDataPreprocessor(
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_size_divisor=32,
        pad_value=0,
    )
    chw = torch.from_numpy(results['img'].transpose(2, 0, 1).copy())
    expected = preprocessor(dict(inputs=[chw]))['inputs'].numpy()
    x, frame = predict.prepare(
        image, dict(steps=pipeline_steps(pipeline), fill=final_fill(preprocessor))
    )
    normalised = (x - preprocessor.mean.numpy()) / preprocessor.std.numpy()
    np.testing.assert_allclose(normalised, expected, atol=1e-6)
    assert frame['image'] == shape and frame['shape'] == results['img_shape']
    np.testing.assert_allclose(frame['scale'], results.get('scale_factor', (1, 1)), rtol=1e-12)


def test_padding_is_removed_from_maps():
    logits = np.full((1, 1, 8, 8), 5, np.float32)
    logits[:, :, :4, :6] = -5
    frame = dict(image=(8, 12), shape=(4, 6), scale=(0.5, 0.5))
    saliency = predict.saliency_map(dict(logits=logits), frame, dict(align_corners=False))
    assert saliency['saliency'].shape == (8, 12) and saliency['saliency'].max() < 0.01
    labels = predict.label_map(
        dict(logits=logits), frame, dict(align_corners=False, threshold=0.5)
    )['labels']
    assert labels.dtype == np.uint8 and not labels.any()


def test_labels_are_the_largest_logit():
    logits = np.zeros((1, 3, 2, 2), np.float32)
    logits[0, 2, 0, 0] = logits[0, 1, 1, 1] = 1
    frame = dict(image=(2, 2), shape=(2, 2), scale=(1, 1))
    found = predict.label_map(dict(logits=logits), frame, dict(align_corners=False, threshold=None))
    assert found['labels'].tolist() == [[2, 0], [0, 1]]


SPECS = dict(
    detection=(
        dict(
            bboxes=np.array([[2, 2, 9, 9]], np.float32),
            scores=np.array([0.9]),
            labels=np.array([1]),
        ),
        (1, 1),
    ),
    segmentation=(dict(labels=np.ones((16, 16), np.uint8)), (8, 8)),
    saliency=(dict(saliency=np.ones((16, 16), np.float32)), (8, 8)),
)


@pytest.mark.parametrize('task', SPECS)
def test_painting_changes_a_copy(task):
    result, inside = SPECS[task]
    image = random_image(16, 16)
    before = image.copy()
    spec = dict(task=task, classes=['a', 'b'], palette=[[255, 0, 0], [0, 255, 0]])
    painted = predict.draw(image, result, spec)
    assert painted.shape == image.shape and painted.dtype == np.uint8
    assert (painted != image).any() and np.array_equal(image, before)
    if task == 'segmentation':
        # Class 1 is green: half of the picture's, half of the colour's.
        assert abs(int(painted[inside][1]) - (int(image[inside][1]) + 255) / 2) <= 1


def test_results_are_saved_atomically(tmp_path):
    spec = dict(task='detection', classes=['a', 'b'], palette=[[255, 0, 0], [0, 255, 0]])
    predict.save(SPECS['detection'][0], random_image(16, 16), spec, tmp_path / 'x', 0.3)
    assert sorted(p.name for p in tmp_path.iterdir()) == ['x.json', 'x_painted.png']
    (found,) = predict.json.loads((tmp_path / 'x.json').read_text())
    assert found['name'] == 'b' and found['bbox'] == [2, 2, 9, 9]
    spec['task'] = 'saliency'
    predict.save(SPECS['saliency'][0], random_image(16, 16), spec, tmp_path / 'y', 0.3)
    assert (cv2.imread(str(tmp_path / 'y.png'), cv2.IMREAD_UNCHANGED) == 255).all()
    assert mmcv.imread(str(tmp_path / 'y_painted.png')).shape == (16, 16, 3)
