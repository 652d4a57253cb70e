"""Exporting a trained student to a self-contained folder."""

from pathlib import Path

import torch
from mmengine.config import Config

from mmkd_sod.deployment.onnx_export import largest_difference, require_onnx, write_onnx
from mmkd_sod.engine.checks import check_data
from mmkd_sod.errors import ConfigError, DataError, UserError
from mmkd_sod.models.student import load_student, own_types, student_config, write_student
from mmkd_sod.models.submodules import last_head
from mmkd_sod.utils.files import write_json
from mmkd_sod.utils.folders import replaced_folder
from mmkd_sod.utils.images import read_with_opencv

from . import predict
from .agreement import LIMIT, Agreement, build_metrics, build_test_loader, compare
from .card import CardFacts, write_card
from .preprocessing import is_fixed
from .recipe import Recipe, make_recipe

FILES = ('config.py', 'weights.pth', 'model.onnx', 'model.json', 'predict.py', 'CARD.md')


def ship(
    cfg: Config,
    checkpoint: str,
    out,
    name: str,
    split: str = 'test',
    force: bool = False,
    log=print,
) -> Agreement:
    """Export a student: plain config and weights, ONNX model, predictor and card.

    The files are written to ``out`` all at once, and only if the metrics of torch and of the
    predictor on the data set differ by less than 1e-3; other files in ``out`` stay.

    Args:
        cfg (Config): A distillation config, or one of a plain model.
        checkpoint (str): Checkpoint of that config.
        out (str | Path): Output folder, which is created.
        name (str): Name of the model on the card.
        split (str): ``'test'`` or ``'val'``, the data set for the metrics.
        force (bool): Whether to overwrite existing files.
        log (Callable): Called with lines of progress.

    Returns:
        Agreement: Metrics and times of torch and the predictor.

    Raises:
        ConfigError: The model, its config or pipeline is not supported, or files exist.
        OSError: The folder cannot be written.
        DataError: Data are missing.
        CheckpointError: The weights do not fit.
        UserError: onnx or onnxruntime is not installed, or the outputs differ.
    """
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out: '{out}' is a file; give the folder to write")
    existing = [out / file for file in FILES if (out / file).exists()]
    if existing and not force:
        raise ConfigError(
            f"'{existing[0]}' exists already; give another --out, or overwrite it with --force"
        )
    _require_runtime()
    loader_name = f'{split}_dataloader'
    plain = student_config(cfg)
    if not plain.get(loader_name):
        raise ConfigError(f'ship: the config has no {loader_name}; give another --split')
    check_data(plain, [loader_name])
    plain, weights, model = load_student(cfg, checkpoint)
    loader = build_test_loader(plain, loader_name)
    # Classes of the data set, since checkpoints may lack them.
    recipe = make_recipe(plain, model, loader.dataset.metainfo, loader_name)
    build_metrics(plain, f'{split}_evaluator', loader.dataset.metainfo)

    with replaced_folder(out, FILES) as partial:
        write_student(plain, weights, partial / 'config.py', partial / 'weights.pth')
        size, tensors = _export(recipe, _first_image(loader), partial / 'model.onnx')
        write_json(partial / 'model.json', recipe.spec, indent=1)
        (partial / 'predict.py').write_bytes(Path(predict.__file__).read_bytes())
        log(f'wrote ONNX, outputs differ by {tensors:.1e}; evaluating {len(loader)} images')
        threads = torch.get_num_threads()
        agreement = compare(plain, split, loader, model, predict.Predictor(partial, threads))
        _require_agreement(agreement)
        facts = CardFacts(
            name,
            recipe.spec,
            _describe(model),
            _trained(weights['meta']),
            sum(p.numel() for p in model.parameters()),
            size,
            tensors,
            agreement,
            threads,
            split,
            own_types(Config(dict(model=plain.model))),
        )
        (partial / 'CARD.md').write_text(write_card(facts, partial), encoding='utf-8')
    return agreement


def _require_runtime() -> None:
    require_onnx()
    try:
        import onnxruntime  # noqa: F401
    except ImportError:
        raise UserError(
            'the package onnxruntime is not installed; ship compares outputs with it; '
            "install it with pip install 'mmkd_sod[onnx]'"
        ) from None


def _first_image(loader):
    """Return the first image of the data, read by OpenCV."""
    if not len(loader):
        raise DataError('ship: the data set is empty; give one with images')
    path = str(loader.dataset.get_data_info(0)['img_path'])
    image = read_with_opencv(path)
    if image is None:
        raise DataError(f"image '{path}' cannot be read by OpenCV; replace it")
    return image


def _export(recipe: Recipe, image, path: Path) -> tuple[str, float]:
    """Write the ONNX file; return the input size as text and the largest difference of outputs."""
    x, _ = predict.prepare(image, recipe.spec['input'])
    fixed = is_fixed(recipe.spec['input'])
    expected = write_onnx(recipe.network, torch.from_numpy(x), path, () if fixed else (2, 3))
    if recipe.spec['task'] == 'detection':
        recipe.spec['output']['factors'] = recipe.network.factors
    difference = largest_difference(path, x, expected)
    if not difference <= LIMIT:
        raise UserError(
            f'ship: outputs of ONNX Runtime and torch differ by {difference:.1e} on '
            f'one image; at most {LIMIT:g} is accepted; nothing was written; use '
            'another model or version of onnxruntime'
        )
    height, width = x.shape[2:]
    return (
        f'{width} x {height}'
        if fixed
        else f'any size; {width} x {height} for the first image of the data'
    ), difference


def _require_agreement(agreement: Agreement) -> None:
    if not agreement.worst < LIMIT:
        wrong = {name: value for name, value in agreement.differences.items() if not value < LIMIT}
        first = next(iter(wrong))
        raise UserError(
            f'ship: {len(wrong)} of {len(agreement.differences)} metrics differ by {LIMIT:g} or '
            f'more, first {first}: torch {agreement.torch.get(first)}, ONNX Runtime '
            f'{agreement.onnx.get(first)}; nothing was written; use another model or version of '
            'onnxruntime'
        )


def _describe(model) -> str:
    head = last_head(model, 'bbox_head') or last_head(model, 'decode_head')
    return ', '.join(type(module).__name__ for module in (model, model.backbone, head))


def _trained(meta: dict) -> str:
    return f', {meta["epoch"]} epochs' if meta.get('epoch') else ''
