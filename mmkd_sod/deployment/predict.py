#!/usr/bin/env python3
"""Predict with the network in this folder; needs onnxruntime, OpenCV and numpy only.

    python predict.py photo.jpg folder/ --out-dir predictions

In Python, with this folder on the path:

    from predict import Predictor
    predictor = Predictor()
    result = predictor(cv2.imread('photo.jpg'))

`model.json` describes the preprocessing of images and the postprocessing of outputs.
"""

import argparse
import json
import os
import sys
from pathlib import Path

import cv2
import numpy as np

SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff')


def _rescaled_size(size, scale):
    """Return (width, height) scaled to fit ``scale``, longer side to longer side."""
    factor = min(max(scale) / max(size), min(scale) / min(size))
    return tuple(int(side * factor + 0.5) for side in size)


def _pad(x, height, width, value):
    """Pad (h, w, 3) at the bottom and right to at least (height, width)."""
    h, w = x.shape[:2]
    return cv2.copyMakeBorder(
        x, 0, max(height - h, 0), 0, max(width - w, 0), cv2.BORDER_CONSTANT, value=value
    )


def _multiple(side, divisor):
    return -(-side // divisor) * divisor


def _padded_size(shape, size, divisor):
    """Return the padded height and width of (h, w) for a (width, height) or a divisor."""
    if size:
        return size[1], size[0]
    return tuple(_multiple(side, divisor or 1) for side in shape)


def nms(boxes, scores, threshold):
    """Apply greedy non-maximum suppression.

    Args:
        boxes: (n, 4), float32, corners.
        scores: (n, ), float32.
        threshold: Boxes with a larger IoU with a box of higher score are removed.

    Returns:
        Indices of the kept boxes, highest score first.
    """
    x1, y1, x2, y2 = boxes.T
    areas = (x2 - x1) * (y2 - y1)
    order, kept = np.argsort(-scores, kind='stable'), []
    while order.size:
        best, rest = order[0], order[1:]
        kept.append(best)
        width = np.minimum(x2[best], x2[rest]) - np.maximum(x1[best], x1[rest])
        height = np.minimum(y2[best], y2[rest]) - np.maximum(y1[best], y1[rest])
        inter = np.maximum(width, 0) * np.maximum(height, 0)
        with np.errstate(divide='ignore', invalid='ignore'):
            iou = inter / (areas[best] + areas[rest] - inter)
        order = rest[~(iou > np.float32(threshold))]
    return np.array(kept, np.int64)


def resize_maps(maps, height, width, align_corners=False):
    """Resize (C, h, w), float32, bilinearly as torch does."""
    if maps.shape[1:] == (height, width):
        return maps
    if not align_corners:
        return np.stack(
            [cv2.resize(x, (width, height), interpolation=cv2.INTER_LINEAR) for x in maps]
        )
    # OpenCV does not support align_corners.
    for axis, size in ((1, height), (2, width)):
        last = maps.shape[axis] - 1
        positions = np.arange(size, dtype=np.float32) * np.float32(last / max(size - 1, 1))
        low = np.minimum(positions.astype(np.int64), last)
        weight = (positions - low).reshape([-1 if i == axis else 1 for i in range(3)])
        maps = (
            np.take(maps, low, axis) * (1 - weight)
            + np.take(maps, np.minimum(low + 1, last), axis) * weight
        )
    return maps


class Predictor:
    """The network in a folder.

    Args:
        folder: Folder with `model.onnx` and `model.json`; default: that of this file.
        threads: Number of threads; 0 for the default of ONNX Runtime.
        providers: Execution providers of ONNX Runtime.
    """

    def __init__(self, folder=None, threads=0, providers=('CPUExecutionProvider',)):
        import onnxruntime

        folder = Path(folder) if folder is not None else Path(__file__).resolve().parent
        self.spec = json.loads((folder / 'model.json').read_text(encoding='utf-8'))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(
            str(folder / 'model.onnx'), options, providers=list(providers)
        )
        self.names = [output.name for output in self.session.get_outputs()]

    def __call__(self, image):
        """Predict on an image (H, W, 3), uint8, BGR, as ``cv2.imread`` returns it.

        Returns:
            dict: For detectors ``bboxes`` (n, 4), x1, y1, x2, y2 in pixels of the image, ``scores``
            (n, ) and ``labels`` (n, ), highest score first; for segmentors ``labels`` (H, W); for
            saliency networks ``saliency`` (H, W), float32, in [0, 1].
        """
        x, frame = prepare(image, self.spec['input'])
        outputs = dict(zip(self.names, self.session.run(None, dict(image=x))))  # noqa: B905
        return TASKS[self.spec['task']](outputs, frame, self.spec['output'])


def open_predictor(folder=None, threads=0):
    """Return the predictor of a folder, or end the program with one sentence."""
    try:
        predictor = Predictor(folder, threads)
        if predictor.spec['task'] not in TASKS:
            raise ValueError(f'unknown task {predictor.spec["task"]!r}')
        return predictor
    # ONNX Runtime raises types of its own.
    except Exception as error:
        reason = ' '.join(str(error).split())[:300]
        print(
            f'predict.py: model.json or model.onnx cannot be read ({type(error).__name__}: '
            f'{reason}); get both again',
            file=sys.stderr,
        )
        sys.exit(2)


def prepare(image, recipe):
    """Return the network's input, and the geometry that maps outputs back to the image.

    Args:
        image: (H, W, 3), uint8, BGR.
        recipe: ``input`` of `model.json`.

    Returns:
        x (1, 3, h, w), float32, RGB, 0 to 255; and a dict of ``image``, height and width of the
        image, ``shape``, height and width of the input without the final padding, and ``scale``,
        the factors of width and height.
    """
    frame = dict(image=image.shape[:2], scale=(1.0, 1.0))
    for step in recipe['steps']:
        height, width = image.shape[:2]
        if step['kind'] == 'resize':
            size = tuple(
                step['scale']
                or (int(width * step['factor'][0] + 0.5), int(height * step['factor'][1] + 0.5))
            )
            if step['keep_ratio']:
                size = _rescaled_size((width, height), size)
            image = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
            frame['scale'] = (size[0] / width, size[1] / height)
        else:
            image = _pad(
                image, *_padded_size((height, width), step['size'], step['divisor']), step['value']
            )
    frame['shape'] = image.shape[:2]
    fill = recipe['fill']
    x = image[..., ::-1].astype(np.float32)
    x = _pad(x, *_padded_size(frame['shape'], fill['size'], fill['divisor']), fill['value'])
    return np.ascontiguousarray(x.transpose(2, 0, 1)[None]), frame


def detections(outputs, frame, recipe):
    """Return the boxes of an image from scores and boxes of all locations, as mmdet does."""
    found = []
    for level in range(recipe['levels']):
        every = outputs[f'scores{level}'][0]
        rows, labels = np.nonzero(every > np.float32(recipe['score_thr']))
        scores = every[rows, labels]
        best = np.argsort(-scores, kind='stable')[: min(recipe['nms_pre'], len(scores))]
        rows, labels, scores = rows[best], labels[best], scores[best]
        if recipe['factors']:
            scores = scores * outputs[f'factors{level}'][0][rows]
        found.append((outputs[f'boxes{level}'][0][rows], scores, labels))
    boxes, scores, labels = (np.concatenate(levels) for levels in zip(*found))  # noqa: B905
    if recipe['clip']:
        height, width = frame['shape']
        boxes = np.clip(boxes, 0, np.array([width, height] * 2, np.float32))
    boxes = boxes * np.array([1 / side for side in frame['scale']] * 2, np.float32)
    if recipe['min_bbox_size'] >= 0:
        sides = boxes[:, 2:] - boxes[:, :2]
        large = (sides > recipe['min_bbox_size']).all(1)
        boxes, scores, labels = boxes[large], scores[large], labels[large]
    if len(boxes):
        # Boxes of each class are shifted by an offset, so that one call handles all classes.
        shifted = boxes
        if not recipe['class_agnostic']:
            shifted = boxes + (labels.astype(np.float32) * (boxes.max() + np.float32(1)))[:, None]
        kept = nms(shifted, scores, recipe['iou_threshold'])[: recipe['max_per_img']]
        boxes, scores, labels = boxes[kept], scores[kept], labels[kept]
    return dict(bboxes=boxes, scores=scores, labels=labels)


def _logits(outputs, frame, recipe):
    height, width = frame['shape']
    return resize_maps(
        np.ascontiguousarray(outputs['logits'][0, :, :height, :width]),
        *frame['image'],
        recipe['align_corners'],
    )


def _sigmoid(x):
    with np.errstate(over='ignore'):
        return 1 / (1 + np.exp(-x))


def label_map(outputs, frame, recipe):
    """Return the class of every pixel; with one channel, whether it is above the threshold."""
    logits = _logits(outputs, frame, recipe)
    labels = logits.argmax(0) if len(logits) > 1 else _sigmoid(logits[0]) > recipe['threshold']
    return dict(labels=labels.astype(np.uint8 if len(logits) <= 256 else np.uint16))


def saliency_map(outputs, frame, recipe):
    """Return the saliency of every pixel, in [0, 1]."""
    return dict(saliency=_sigmoid(_logits(outputs, frame, recipe)[0]))


TASKS = dict(detection=detections, segmentation=label_map, saliency=saliency_map)


def draw(image, result, spec, score_thr=0.3):
    """Draw a result on a copy of the image (H, W, 3), uint8, BGR."""
    image = image.copy()
    palette = np.array(spec['palette'], np.uint8).reshape(-1, 3)[:, ::-1]
    if spec['task'] == 'detection':
        for box, score, label in zip(*(result[k] for k in ('bboxes', 'scores', 'labels'))):  # noqa: B905
            if score >= score_thr:
                x1, y1, x2, y2 = (round(float(v)) for v in box)
                colour = tuple(int(v) for v in palette[label])
                cv2.rectangle(image, (x1, y1), (x2, y2), colour, 2)
                cv2.putText(
                    image,
                    f'{spec["classes"][label]} {score:.2f}',
                    (x1, max(y1 - 4, 10)),
                    cv2.FONT_HERSHEY_SIMPLEX,
                    0.4,
                    colour,
                    1,
                    cv2.LINE_AA,
                )
        return image
    if spec['task'] == 'segmentation':
        colours, weight = palette[np.minimum(result['labels'], len(palette) - 1)], 0.5
    else:
        colours, weight = np.array([60, 60, 230], np.uint8), 0.6 * result['saliency'][..., None]
    return (image * (1 - weight) + colours * weight + 0.5).astype(np.uint8)


def _write(path, content):
    """Write text or an image atomically."""
    temporary = path.with_name(f'.{os.getpid()}{path.name}')
    temporary.unlink(missing_ok=True)
    try:
        if isinstance(content, str):
            temporary.write_text(content, encoding='utf-8')
        else:
            # OpenCV's own writer ends the process on names that are not UTF-8.
            temporary.write_bytes(cv2.imencode('.png', content)[1].tobytes())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def save(result, image, spec, base, score_thr):
    """Write a result as `<base>.json` or `<base>.png`, and a picture of it."""
    _write(base.with_name(base.name + '_painted.png'), draw(image, result, spec, score_thr))
    if spec['task'] == 'detection':
        found = [
            dict(
                bbox=[float(v) for v in box],
                score=float(score),
                label=int(label),
                name=spec['classes'][label],
            )
            for box, score, label in zip(
                result['bboxes'], result['scores'], result['labels'], strict=True
            )
        ]
        _write(base.with_name(base.name + '.json'), json.dumps(found, indent=1) + '\n')
    else:
        maps = (
            result['labels']
            if 'labels' in result
            else (result['saliency'] * 255 + 0.5).astype(np.uint8)
        )
        _write(base.with_name(base.name + '.png'), maps)


def _read(path):
    """Return an image, or None if it cannot be read."""
    # A pipe would wait for its writer; OpenCV's own reader crashes on names that are not UTF-8.
    if not path.is_file() or not path.stat().st_size:
        return None
    return cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)


def _images(inputs):
    for name in map(Path, inputs):
        yield from (
            sorted(
                p
                for p in name.iterdir()
                # Not the hidden files that macOS adds to archives.
                if p.suffix.lower() in SUFFIXES and not p.name.startswith('.')
            )
            if name.is_dir()
            else [name]
        )


def main():
    """Predict on files and folders; existing results are kept."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('inputs', nargs='+', help='images and folders of images')
    parser.add_argument('--out-dir', default='predictions')
    parser.add_argument('--score-thr', type=float, default=0.3, help='minimum score of drawn boxes')
    parser.add_argument('--threads', type=int, default=0)
    parser.add_argument('--force', action='store_true', help='overwrite existing results')
    args = parser.parse_args()
    out, predictor, images = Path(args.out_dir), open_predictor(threads=args.threads), {}
    for path in _images(args.inputs):
        if images.setdefault(path.stem, path) != path:
            sys.exit(
                f'predict.py: {images[path.stem]} and {path} would have the same result file; '
                'rename one'
            )
    out.mkdir(parents=True, exist_ok=True)
    failed = 0
    suffix = '.json' if predictor.spec['task'] == 'detection' else '.png'
    for number, (stem, path) in enumerate(images.items(), 1):
        exists = (out / (stem + suffix)).exists() and not args.force
        image = None if exists else _read(path)
        if image is not None:
            save(predictor(image), image, predictor.spec, out / stem, args.score_thr)
        failed += image is None and not exists
        state = 'kept' if exists else 'cannot be read' if image is None else 'done'
        print(f'{number}/{len(images)} {path}: {state}', flush=True)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
