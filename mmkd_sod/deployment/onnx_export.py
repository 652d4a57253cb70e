"""Exporting networks to ONNX files."""

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
    """Computes saliency maps (N, 1, H, W), in [0, 1], including the normalisation of images.

    Inputs are images (N, 3, H, W), floating, RGB, 0 to 255.

    Args:
        model (nn.Module): A segmentor of mmseg in eval mode, with one or two output channels.

    Raises:
        ConfigError: The model does not predict saliency maps.
    """

    def __init__(self, model: nn.Module) -> None:
        saliency_head(model, 'the model')
        super().__init__(model, saliency=True)

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs of ``forward``, in order."""
        return ['saliency']

    def forward(self, image: Tensor) -> Tensor:
        """Return the saliency maps of images."""
        return super().forward(image).sigmoid()


def require_onnx() -> None:
    """Raise UserError if the package ``onnx`` is not installed."""
    try:
        import onnx  # noqa: F401  (torch's exporter needs it)
    except ImportError:
        raise UserError(
            'the package onnx is not installed; the export needs it, and onnxruntime '
            "to compare outputs; install them with pip install 'mmkd_sod[onnx]'"
        ) from None


def write_onnx(module: ImageNetwork, images: Tensor, path, dynamic: Sequence[int] = ()) -> list:
    """Export a network to an ONNX file by tracing.

    Args:
        module (ImageNetwork): Network in eval mode.
        images (Tensor): Input for tracing.
        path (str | Path): Output file.
        dynamic (Sequence[int]): Axes of the input with variable size, of 0, 2, 3.

    Returns:
        list[np.ndarray]: Outputs of the network for ``images``.

    Raises:
        ConfigError: The exporter does not support an operation of the network.
    """
    with torch.no_grad():
        expected = module(images)
    expected = [expected] if isinstance(expected, Tensor) else list(expected)
    axes = {0: 'batch', 2: 'height', 3: 'width'}
    image_axes = {axis: axes[axis] for axis in dynamic}
    # All axes of the outputs whose size depends on the input; their names are not used.
    output_axes = (
        {}
        if not dynamic
        else {
            name: {
                axis: f'{name}_{axis}'
                for axis in range(x.dim())
                if (axis == 0 and 0 in dynamic) or (axis > 0 and 2 in dynamic)
            }
            for name, x in zip(module.output_names, expected, strict=True)
        }
    )
    try:
        with warnings.catch_warnings():
            # Warnings about sizes traced as constants; the comparison of outputs checks them.
            warnings.simplefilter('ignore')
            torch.onnx.export(
                module,
                (images,),
                str(path),
                input_names=['image'],
                output_names=module.output_names,
                opset_version=17,
                dynamo=False,
                dynamic_axes=dict(image=image_axes, **output_axes) if dynamic else None,
            )
    except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
        reason = ' '.join(str(error).split())[:200]
        raise ConfigError(
            f'{type(module.model).__name__} cannot be exported to ONNX ({reason}); '
            'use a network without that operation'
        ) from error
    return [x.numpy() for x in expected]


def largest_difference(path, images: np.ndarray, expected: Sequence[np.ndarray]) -> float:
    """Return the largest difference between outputs of ONNX Runtime and expected outputs.

    Args:
        path (str | Path): ONNX file.
        images (np.ndarray): Input.
        expected (Sequence[np.ndarray]): One array per output.

    Returns:
        float: Largest absolute difference, relative to the maximum for outputs that exceed 1;
        infinite if shapes differ.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    worst = 0.0
    for found, wanted in zip(session.run(None, dict(image=images)), expected, strict=True):
        if found.shape != wanted.shape:
            return float('inf')
        scale = max(1.0, float(np.abs(wanted).max(initial=0)))
        worst = max(worst, float(np.abs(found - wanted).max(initial=0)) / scale)
    return worst


def export_onnx(inferencer: SaliencyInferencer, out, batch: int | None = None) -> float | None:
    """Export a saliency network to an ONNX file and compare its outputs with torch's.

    Args:
        inferencer (SaliencyInferencer): The network; its ``side`` is the input size.
        out (str | Path): Output file, which must not exist.
        batch (int, optional): Fixed batch size; default: variable.

    Returns:
        float, optional: Largest difference of the maps of random images, at most 1e-4; None if ONNX
        Runtime is not installed and the outputs were not compared.

    Raises:
        UserError: ``onnx`` is not installed, the file exists, or the outputs differ.
    """
    out = Path(out)
    require_onnx()
    if out.exists():
        raise UserError(f"'{out}' exists already; remove it or give another file")
    module = SaliencyModule(inferencer.model).cpu()
    module.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    module.eval()
    images = (
        torch.rand(
            batch or 2,
            3,
            inferencer.side,
            inferencer.side,
            generator=torch.Generator().manual_seed(0),
        )
        * 255
    )
    with atomic_path(out) as temporary:
        expected = write_onnx(module, images, temporary, () if batch else (0,))
        difference = _difference(temporary, images.numpy(), expected)
    inferencer.model.to(inferencer.device)
    return difference


def _difference(path: Path, images: np.ndarray, expected: Sequence[np.ndarray]) -> float | None:
    try:
        difference = largest_difference(path, images, expected)
    except ImportError:
        return None
    if not difference <= 1e-4:
        raise UserError(
            f'export: outputs of ONNX Runtime and torch differ by {difference:.1e}; at '
            'most 1e-4 is accepted; nothing was written; use another network or '
            'version of onnxruntime'
        )
    return difference
