"""A saliency network as an ONNX file."""
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mmkd_sod.errors import ConfigError, UserError
from mmkd_sod.models.saliency import resize_like, saliency_head, saliency_logits
from mmkd_sod.utils.files import atomic_path

from .saliency_inferencer import SaliencyInferencer


class SaliencyModule(nn.Module):
    """Image in, saliency map out, with normalisation inside.

    Args:
        model (nn.Module): A segmentor of mmseg in eval mode.

    The input is (N, 3, H, W), floating, RGB, 0 to 255; the output (N, 1, H, W), in [0, 1].
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.align_corners = bool(saliency_head(model, 'the model').align_corners)
        preprocessor = model.data_preprocessor
        if not getattr(preprocessor, 'channel_conversion', False):
            raise ConfigError('export: the model was trained on BGR images (bgr_to_rgb=False), and '
                              'only models of RGB images are exported')
        self.register_buffer('mean', preprocessor.mean.clone())
        self.register_buffer('std', preprocessor.std.clone())

    def forward(self, image: Tensor) -> Tensor:
        x = (image - self.mean) / self.std
        feats = self.model.extract_feat(x)
        head = self.model.decode_head
        # A head of several levels makes the finest only where it can.
        if hasattr(head, 'decode'):
            logits = head.cls_seg(head.decode(feats)[0])
        else:
            logits = saliency_logits(head(feats))[0]
        return resize_like(logits, x.shape[2:], self.align_corners).sigmoid()


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
    try:
        import onnx  # noqa: F401  (torch's exporter needs it)
    except ImportError:
        raise UserError('exporting needs the package onnx; install onnx, and onnxruntime to have '
                        'the answers compared') from None
    if out.exists():
        raise UserError(f"'{out}' is there already; remove it or name another file")
    module = SaliencyModule(inferencer.model).cpu().to(memory_format=torch.contiguous_format)
    module.eval()
    images = torch.rand(batch or 2, 3, inferencer.side, inferencer.side,
                        generator=torch.Generator().manual_seed(0)) * 255
    with torch.no_grad():
        expected = module(images).numpy()
    with atomic_path(out) as temporary:
        torch.onnx.export(
            module, (images,), str(temporary), input_names=['image'], output_names=['saliency'],
            dynamic_axes=None if batch else dict(image={0: 'batch'}, saliency={0: 'batch'}),
            opset_version=17, dynamo=False)
        difference = _difference(temporary, images.numpy(), expected)
    inferencer.model.to(inferencer.device)
    return difference


def _difference(path: Path, images: np.ndarray, expected: np.ndarray) -> float | None:
    try:
        import onnxruntime
    except ImportError:
        return None
    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    difference = float(np.abs(session.run(None, dict(image=images))[0] - expected).max())
    if not difference <= 1e-4:
        raise UserError(f'export: ONNX Runtime differs from torch by {difference:.1e}, above 1e-4; '
                        'nothing was written')
    return difference
