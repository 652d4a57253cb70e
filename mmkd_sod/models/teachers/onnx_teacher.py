"""A teacher from an ONNX file."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from mmkd_sod.errors import CheckpointError, ConfigError, InstallationError
from mmkd_sod.registry import MODELS

from .foreign import ForeignTeacher

_TYPES = {'tensor(float)': np.float32, 'tensor(float16)': np.float16}
_GPU = 'CUDAExecutionProvider'


def _import_onnxruntime():
    try:
        import onnxruntime
    except ImportError as error:
        raise InstallationError(
            'OnnxTeacher: the package onnxruntime is not installed; install '
            "'mmkd_sod[onnx]', or onnxruntime-gpu for a GPU"
        ) from error
    return onnxruntime


@cache
def _log_cpu() -> None:
    print_log(
        f'OnnxTeacher: this onnxruntime has no {_GPU}, so the teacher runs on the CPU; '
        'install onnxruntime-gpu for a faster one.',
        logger='current',
    )


class OnnxNetwork(nn.Module):
    """Runs an ONNX file where its input is: on a GPU if onnxruntime has its CUDA provider.

    Args:
        file (str): Path of the file.

    Raises:
        CheckpointError: It is missing or no ONNX file.
        ConfigError: The network does not take one batch of images.
    """

    def __init__(self, file: str) -> None:
        super().__init__()
        self.file = file
        self._sessions: dict[str, Any] = {}
        session = self._session('cpu')
        inputs = session.get_inputs()
        if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].type not in _TYPES:
            raise ConfigError(
                f"OnnxTeacher: '{file}' takes "
                f'{[(one.name, one.shape, one.type) for one in inputs]}; give a network with one '
                'input of floats, (N, C, H, W)'
            )
        self.name, self.dtype = inputs[0].name, _TYPES[inputs[0].type]
        # Dimensions that a file leaves open are names or None.
        self.shape = [side if isinstance(side, int) else None for side in inputs[0].shape]
        self.outputs = [one.name for one in session.get_outputs()]

    def _session(self, device: str):
        if device not in self._sessions:
            onnxruntime = _import_onnxruntime()
            providers = ['CPUExecutionProvider']
            if device == 'cuda' and _GPU in onnxruntime.get_available_providers():
                providers.insert(0, _GPU)
            elif device == 'cuda':
                _log_cpu()
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = torch.get_num_threads()
            try:
                self._sessions[device] = onnxruntime.InferenceSession(
                    self.file, options, providers=providers
                )
            except Exception as error:  # onnxruntime has a class for each kind of faulty file
                raise CheckpointError(
                    f"OnnxTeacher: '{self.file}' cannot be read as ONNX "
                    f'({" ".join(str(error).split())[:200]}); give the path of an ONNX file'
                ) from error
        return self._sessions[device]

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return all outputs, float32, on the images' device.

        Args:
            images (Tensor): (N, C, H, W). A file with a fixed batch size gets as many at a time.

        Raises:
            ConfigError: The file's fixed sizes do not fit.
        """
        for found, wanted in zip(images.shape[1:], self.shape[1:], strict=True):
            if wanted not in (None, found):
                raise ConfigError(
                    f"OnnxTeacher: '{self.file}' takes {tuple(self.shape[1:])} (channels, height, "
                    f'width), the batch has {tuple(images.shape[1:])}; set size to its height and '
                    'width'
                )
        step = self.shape[0] or len(images)
        if len(images) % step:
            raise ConfigError(
                f"OnnxTeacher: '{self.file}' takes {step} images at a time, the batch has "
                f'{len(images)}; use a multiple, or export it with an open batch size'
            )
        session = self._session(images.device.type)
        pixels = images.detach().cpu().numpy().astype(self.dtype, copy=False)
        parts = [
            session.run(None, {self.name: np.ascontiguousarray(pixels[i : i + step])})
            for i in range(0, len(pixels), step)
        ]
        return tuple(
            torch.from_numpy(np.concatenate(output)).float().to(images.device)
            for output in zip(*parts, strict=True)
        )


@MODELS.register_module()
class OnnxTeacher(ForeignTeacher):
    """A network from an ONNX file, as a teacher of saliency or segmentation networks.

    Example: U2-Net-p as released in rembg, whose first output is a saliency map after a sigmoid::

        teacher=dict(
            type='mmkd_sod.OnnxTeacher',
            onnx_file='u2netp.onnx',
            data_preprocessor=dict(
                type='mmseg.SegDataPreProcessor',
                mean=[123.675, 116.28, 103.53],
                std=[58.395, 57.12, 57.375],
                bgr_to_rgb=True),
            activation='sigmoid')

    Args:
        onnx_file (str): Path of the file. Its weights are the teacher's: leave out
            ``teacher_ckpt``.
        data_preprocessor (dict): See ``ForeignTeacher``.
        size (Sequence[int], optional): Height and width of its input; default: those that are fixed
            in the file, otherwise the student's.
        output (int | str): Index or name of the output that is the map.
        activation (str): What the network ends in: ``'none'`` (logits), ``'sigmoid'`` or
            ``'softmax'``.

    Raises:
        InstallationError: onnxruntime is not installed.
        CheckpointError: The file is missing or no ONNX file.
        ConfigError: The network takes no images, has no such output or returns no map.
    """

    def __init__(
        self,
        onnx_file: str,
        data_preprocessor: dict,
        size: Sequence[int] | None = None,
        output: int | str = 0,
        activation: str = 'none',
    ) -> None:
        network = OnnxNetwork(onnx_file)
        fixed = [side for side in network.shape[2:] if side is not None]
        if size is None and len(fixed) == 2:
            size = fixed
        if isinstance(output, str) and output in network.outputs:
            output = network.outputs.index(output)
        if not isinstance(output, int) or not 0 <= output < len(network.outputs):
            raise ConfigError(
                f"OnnxTeacher: '{onnx_file}' has no output {output!r}; choose one of "
                f'{network.outputs} or its index'
            )
        # A forward tells the shape of the output, which files may leave open.
        count, channels = network.shape[0] or 1, network.shape[1] or 3
        outputs = network(torch.zeros(count, channels, *(size or (64, 64))))
        if outputs[output].dim() != 4:
            raise ConfigError(
                f"OnnxTeacher: output '{network.outputs[output]}' of '{onnx_file}' has the shape "
                f'{tuple(outputs[output].shape)}; choose one that is a map, (N, C, h, w), of '
                f'{network.outputs}'
            )
        super().__init__(
            onnx_file,
            network,
            data_preprocessor,
            size,
            output,
            outputs[output].shape[1],
            activation,
        )
