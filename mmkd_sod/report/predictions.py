"""Pictures of the predictions of a study's models on sample images."""

import base64
from dataclasses import dataclass, field

import cv2
import numpy as np

from mmkd_sod.engine.sample_images import SampleImages, build_dataset
from mmkd_sod.errors import DataError, UserError
from mmkd_sod.models.student import load_model
from mmkd_sod.utils.progress import progress_bar
from mmkd_sod.visualization.predictions import draw_prediction

from .config_code import code_in
from .studies import Study

_SIDE = 480  # minimum side of pictures
_MOST = 720  # maximum side of pictures
_QUALITY = 85
_FONT = 16  # height of class names in a picture of _SIDE


@dataclass
class Gallery:
    """Pictures of predictions, by image and model.

    Attributes:
        names (list[str]): File name of each image.
        columns (dict[str, list[str]]): ``data:`` URL for each image, by title of the column.
        seed (int | None): Seed of the shown runs.
        kind (str): Kind of prediction: ``'boxes'``, ``'classes'`` or ``'saliency'``.
        classes (list[tuple[str, str]]): Names and CSS colours of the classes.
        notes (list[str]): Reasons for missing pictures.
    """

    names: list = field(default_factory=list)
    columns: dict = field(default_factory=dict)
    seed: int | None = None
    kind: str = ''
    classes: list = field(default_factory=list)
    notes: list = field(default_factory=list)


def data_url(picture: np.ndarray) -> str:
    """Return a ``data:`` URL with a JPEG of an RGB picture.

    Raises:
        DataError: OpenCV cannot encode the picture.
    """
    scale = _MOST / max(picture.shape[:2])
    if scale < 1:
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    done, encoded = cv2.imencode('.jpg', picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        raise DataError(
            f'a picture of shape {picture.shape} cannot be encoded as JPEG; omit the '
            'pictures with --images 0'
        )
    return 'data:image/jpeg;base64,' + base64.b64encode(encoded.tobytes()).decode('ascii')


def _shown_runs(study: Study) -> dict:
    """Return one run per variant, by name, with the first common seed or else the first seed."""
    seeds = [{run.seed for run in variant.runs} for variant in study.variants]
    shared = sorted(seed for seed in set.intersection(*seeds) if seed is not None)
    return {
        variant.name: next(
            (run for run in variant.runs if shared and run.seed == shared[0]), variant.runs[0]
        )
        for variant in study.variants
    }


def gallery(
    study: Study,
    count: int,
    score_thr: float = 0.3,
    device: str | None = None,
    trust_configs: bool = False,
) -> Gallery:
    """Draw the predictions of one run per variant beside the ground truth.

    If data or checkpoints are missing, or a config could run code, a note replaces the pictures.

    Args:
        study (Study): The runs.
        count (int): Number of images of the test split; 0 for none.
        score_thr (float): Minimum score of drawn boxes.
        device (str, optional): Such as ``'cuda'`` or ``'cpu'``; default: a GPU if available.
        trust_configs (bool): Also build configs that could run code of their own.
    """
    result = Gallery()
    if count < 1 or not study.variants:
        return result
    runs = _shown_runs(study)
    for run in () if trust_configs else runs.values():
        if code := code_in(run.cfg):
            result.notes.append(
                f"No pictures: building the config of '{run.path}' may run code ({code}); if you "
                'trust it, add --trust-configs.'
            )
            return result
    try:
        samples = SampleImages(build_dataset(list(runs.values())[-1].cfg), count)
    except (UserError, OSError) as error:
        result.notes.append(f'No pictures: {error}.')
        return result
    predictions: dict[str, list] = {}
    with progress_bar(len(runs)) as advance:
        for name, run in runs.items():
            if run.checkpoint is None:
                result.notes.append(f'{name}: there is no checkpoint in {run.path}.')
            else:
                try:
                    model = load_model(run.cfg, run.checkpoint, device)
                    predictions[name] = samples.predictions(model)
                except UserError as error:
                    result.notes.append(f'{name}: {error}.')
            advance()
    if not predictions:
        return result
    first = next(iter(predictions.values()))[0]
    truths = samples.truths(first)
    if None not in truths:
        predictions = {'Truth': truths, **predictions}
    result.names = samples.names
    result.kind = next(
        kind
        for kind in ('boxes', 'classes', 'saliency')
        if kind in first or (kind == 'boxes' and 'bboxes' in first)
    )
    seeds = {run.seed for run in runs.values()}
    result.seed = seeds.pop() if len(seeds) == 1 else None
    if result.kind != 'saliency' and samples.palette and not isinstance(samples.palette, str):
        result.classes = [
            (name, f'rgb({",".join(str(int(channel)) for channel in color)})')
            for name, color in zip(samples.classes, samples.palette, strict=False)
        ]
    for name, column in predictions.items():
        result.columns[name] = [
            data_url(
                draw_prediction(
                    image,
                    prediction,
                    samples.classes,
                    samples.palette,
                    score_thr,
                    _SIDE,
                    # Readable with four columns on a page.
                    font_size=round(_FONT * max(1.0, max(image.shape[:2]) / _SIDE)),
                )
            )
            for image, prediction in zip(samples.images, column, strict=True)
        ]
    return result
