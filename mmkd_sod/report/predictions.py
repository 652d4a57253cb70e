"""Pictures of what the models of a study answer on a few images."""
import base64
from dataclasses import dataclass, field

import cv2
import numpy as np

from mmkd_sod.engine.sample_images import SampleImages, build_dataset
from mmkd_sod.errors import DataError, UserError
from mmkd_sod.models.student import load_model
from mmkd_sod.utils.progress import progress_bar
from mmkd_sod.visualization.predictions import draw_prediction

from .studies import Study

_SIDE = 480  # smaller images are enlarged to this
_MOST = 720  # larger pictures are reduced to this
_QUALITY = 85
_FONT = 16  # of boxes' names, in a picture of _SIDE


@dataclass
class Gallery:
    """Pictures side by side.

    Attributes:
        names (list[str]): File name of each image.
        columns (dict[str, list[str]]): A ``data:`` address for each image, by title.
        seed (int | None): Seed of the runs that are shown.
        kind (str): What is drawn: ``'boxes'``, ``'classes'`` or ``'saliency'``.
        classes (list[tuple[str, str]]): Name and CSS colour of the classes that are drawn.
        notes (list[str]): Why something is missing.
    """
    names: list = field(default_factory=list)
    columns: dict = field(default_factory=dict)
    seed: int | None = None
    kind: str = ''
    classes: list = field(default_factory=list)
    notes: list = field(default_factory=list)


def data_address(picture: np.ndarray) -> str:
    """A JPEG of an RGB picture as a ``data:`` address.

    Raises:
        DataError: OpenCV cannot encode it.
    """
    scale = _MOST / max(picture.shape[:2])
    if scale < 1:
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    done, encoded = cv2.imencode('.jpg', picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        raise DataError(f'a picture of shape {picture.shape} cannot be encoded as JPEG; leave the '
                        'pictures out with --images 0')
    return 'data:image/jpeg;base64,' + base64.b64encode(encoded.tobytes()).decode('ascii')


def _shown_runs(study: Study) -> dict:
    """One run a variant, by its name: of the first seed that all have, else of its first."""
    seeds = [{run.seed for run in variant.runs} for variant in study.variants]
    shared = sorted(seed for seed in set.intersection(*seeds) if seed is not None)
    return {variant.name: next((run for run in variant.runs if shared and run.seed == shared[0]),
                               variant.runs[0]) for variant in study.variants}


def gallery(study: Study, count: int, score_thr: float = 0.3,
            device: str | None = None) -> Gallery:
    """Predict with one run of each variant and draw the answers beside the truth.

    What is missing on this machine (data, checkpoints) leaves its pictures out and a note in their
    place.

    Args:
        study (Study): The runs.
        count (int): How many images of the test split; 0 for none.
        score_thr (float): Boxes below this score are not drawn.
        device (str, optional): A GPU where there is one by default.
    """
    result = Gallery()
    if count < 1 or not study.variants:
        return result
    runs = _shown_runs(study)
    try:
        samples = SampleImages(build_dataset(list(runs.values())[-1].cfg), count)
    except (UserError, OSError) as error:
        result.notes.append(f'No pictures: {error}.')
        return result
    answers: dict[str, list] = {}
    with progress_bar(len(runs)) as tell:
        for name, run in runs.items():
            if run.checkpoint is None:
                result.notes.append(f'{name}: no checkpoint is left in {run.path}.')
            else:
                try:
                    model = load_model(run.cfg, run.checkpoint, device)
                    answers[name] = samples.predictions(model)
                except UserError as error:
                    result.notes.append(f'{name}: {error}.')
            tell()
    if not answers:
        return result
    first = next(iter(answers.values()))[0]
    truths = samples.truths(first)
    if None not in truths:
        answers = {'Truth': truths, **answers}
    result.names = samples.names
    result.kind = next(kind for kind in ('boxes', 'classes', 'saliency')
                       if kind in first or (kind == 'boxes' and 'bboxes' in first))
    seeds = {run.seed for run in runs.values()}
    result.seed = seeds.pop() if len(seeds) == 1 else None
    if result.kind != 'saliency' and samples.palette and not isinstance(samples.palette, str):
        result.classes = [(name, f'rgb({",".join(str(int(part)) for part in color)})')
                          for name, color in zip(samples.classes, samples.palette, strict=False)]
    for name, column in answers.items():
        result.columns[name] = [
            data_address(draw_prediction(
                image, answer, samples.classes, samples.palette, score_thr, _SIDE,
                # Names stay legible where four columns share a page.
                font_size=round(_FONT * max(1., max(image.shape[:2]) / _SIDE))))
            for image, answer in zip(samples.images, column, strict=True)]
    return result
