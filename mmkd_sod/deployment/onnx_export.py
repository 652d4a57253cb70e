"""A network as an ONNX file."""
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mmkd_sod.errors import ConfigError, UserError
from mmkd_sod.models.saliency import saliency_head
from mmkd_sod.models.saliency_inferencer import SaliencyInferencer
from mmkd_sod.utils.files import atomic_path

from .networks import ImageNetwork, SegmentationNetwork


class SaliencyModule(SegmentationNetwork):
    """Image in, saliency map out, with normalisation inside.

    Args:
        model (nn.Module): A segmentor of mmseg in eval mode, with one output channel or two.

    The input is (N, 3, H, W), floating, RGB, 0 to 255; the output (N, 1, H, W), in [0, 1].
    """

    def __init__(self, model: nn.Module) -> None:
        saliency_head(model, 'the model')
        super().__init__(model, saliency=True)

    @property
    def output_names(self) -> list[str]:
        return ['saliency']

    def forward(self, image: Tensor) -> Tensor:
        return super().forward(image).sigmoid()


def require_onnx() -> None:
    """Refuse to go on where ONNX files cannot be written.

    Raises:
        UserError: The package ``onnx`` is not installed.
    """
    try:
        import onnx  # noqa: F401  (torch's exporter needs it)
    except ImportError:
        raise UserError('exporting needs the package onnx; install onnx, and onnxruntime to have '
                        "the answers compared (pip install 'mmkd_sod[onnx]')") from None


def write_onnx(module: ImageNetwork, images: Tensor, path, dynamic: Sequence[int] = ()) -> list:
    """Trace a network to an ONNX file.

    Args:
        module (ImageNetwork): In eval mode.
        images (Tensor): What it is traced with.
        path (str | Path): The file.
        dynamic (Sequence[int]): Axes of the input that may have any size: 0, 2, 3.

    Returns:
        list[np.ndarray]: The network's answers to ``images``.

    Raises:
        ConfigError: The network has an operation that the exporter does not know.
    """
    with torch.no_grad():
        expected = module(images)
    expected = [expected] if isinstance(expected, Tensor) else list(expected)
    axes = {0: 'batch', 2: 'height', 3: 'width'}
    image_axes = {axis: axes[axis] for axis in dynamic}
    # Every axis of an output that follows the input's size; exact names matter to nobody.
    output_axes = {} if not dynamic else {
        name: {axis: f'{name}_{axis}' for axis in range(x.dim()) if
               (axis == 0 and 0 in dynamic) or (axis > 0 and 2 in dynamic)}
        for name, x in zip(module.output_names, expected, strict=True)}
    try:
        with warnings.catch_warnings():
            # Sizes that the tracer calls constant are compared by what follows the export.
            warnings.simplefilter('ignore')
            torch.onnx.export(
                module, (images,), str(path), input_names=['image'],
                output_names=module.output_names, opset_version=17, dynamo=False,
                dynamic_axes=dict(image=image_axes, **output_axes) if dynamic else None)
    except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
        reason = ' '.join(str(error).split())[:200]
        raise ConfigError(f'{type(module.model).__name__} cannot be written as ONNX ({reason}); '
                          'use a network without that operation') from error
    return [x.numpy() for x in expected]


def largest_difference(path, images: np.ndarray, expected: Sequence[np.ndarray]) -> float:
    """How far ONNX Runtime's answers are from the expected ones.

    Args:
        path (str | Path): The ONNX file.
        images (np.ndarray): Its input.
        expected (Sequence[np.ndarray]): One array an output.

    Returns:
        float: The largest difference, of outputs that exceed 1 as a part of their largest value;
        infinite where shapes differ.
    """
    import onnxruntime
    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    worst = 0.
    for found, wanted in zip(session.run(None, dict(image=images)), expected, strict=True):
        if found.shape != wanted.shape:
            return float('inf')
        scale = max(1., float(np.abs(wanted).max(initial=0)))
        worst = max(worst, float(np.abs(found - wanted).max(initial=0)) / scale)
    return worst


def export_onnx(inferencer: SaliencyInferencer, out, batch: int | None = None) -> float | None:
    """Write an ONNX file and compare its answers with torch's.

    Args:
        inferencer (SaliencyInferencer): The network.
        out (str | Path): The file; one that is there is refused.
        batch (int, optional): A fixed batch size; any by default. The side is the inferencer's.

    Returns:
        float, optional: The largest difference of the two maps on random images, which is at most
        1e-4; None where ONNX Runtime is not installed and nothing was compared.

    Raises:
        UserError: ``onnx`` is not installed, the file is there, or the answers differ.
    """
    out = Path(out)
    require_onnx()
    if out.exists():
        raise UserError(f"'{out}' is there already; remove it or name another file")
    module = SaliencyModule(inferencer.model).cpu()
    module.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    module.eval()
    images = torch.rand(batch or 2, 3, inferencer.side, inferencer.side,
                        generator=torch.Generator().manual_seed(0)) * 255
    with atomic_path(out) as temporary:
        expected = write_onnx(module, images, temporary, () if batch else (0, ))
        difference = _difference(temporary, images.numpy(), expected)
    inferencer.model.to(inferencer.device)
    return difference


def _difference(path: Path, images: np.ndarray, expected: Sequence[np.ndarray]) -> float | None:
    try:
        difference = largest_difference(path, images, expected)
    except ImportError:
        return None
    if not difference <= 1e-4:
        raise UserError(f'export: ONNX Runtime differs from torch by {difference:.1e}, above 1e-4; '
                        'nothing was written')
    return difference
