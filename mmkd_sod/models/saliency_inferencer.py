"""Predicting saliency maps of images from a config and a checkpoint."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import mmcv
import numpy as np
import torch
from mmengine.config import Config

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.builder import build_model
from mmkd_sod.models.saliency import check_repeatable, resize_like, saliency_head, saliency_logits
from mmkd_sod.models.student import student_config
from mmkd_sod.models.teachers.frozen_teacher import FrozenTeacher, find_accelerator
from mmkd_sod.utils.checkpoint import check_fits, read_checkpoint
from mmkd_sod.utils.config_files import read_config_file
from mmkd_sod.utils.weak_labels import teacher_key


def saliency_config(config) -> Config:
    """Return the config of a plain segmentor, of a distillation config the student's.

    Args:
        config (str | Path | Config): A file, ``'mmseg::folder/name.py'`` or a config.

    Raises:
        ConfigError: The file does not exist or has no model.
    """
    if not isinstance(config, Config):
        name = str(config)
        if '::' not in name and not Path(name).is_file():
            raise ConfigError(f"config '{name}' does not exist; give the path of a config file")
        config = read_config_file(name)
    if 'model' not in config:
        raise ConfigError(
            f"config '{config.filename}' has no `model`; give a config that trains a model"
        )
    plain = student_config(config)
    # Types without a scope belong to the default scope of the config.
    plain.model.setdefault('_scope_', plain.get('default_scope') or 'mmseg')
    return plain


def key_of_files(config, checkpoint, side: int = 352) -> str:
    """Return the key of a teacher's stored weak labels for its config, checkpoint and side."""
    state, _ = read_checkpoint(str(checkpoint), 'teacher_ckpt')
    return teacher_key(saliency_config(config).model, state, side)


class SaliencyInferencer:
    """Predicts saliency maps with a trained segmentor.

    Images are resized to ``side`` x ``side`` and their maps back to the size of the image. Unlike
    in the released code of KD-SCFNet, but as in mmseg, logits are resized before the sigmoid; maps
    differ by up to two grey levels at edges.

    Args:
        config (str | Path | Config): Config of a saliency segmentor, or of a distillation, whose
            student is used.
        checkpoint (str | Path): Checkpoint of that model.
        device (str, optional): Such as ``'cuda'`` or ``'cpu'``; default: a GPU if available.
        side (int): Side of the network's input.
        batch_size (int): Maximum number of images per forward.
        fast (bool): Fold BN layers into convolutions, unless that changes an output by more than
            1e-4, and, on a CPU, use channels_last; both only if ``mmkd_sod/models/acceleration`` is
            available.

    Raises:
        ConfigError: The model does not predict saliency maps, or an argument is out of range.
        CheckpointError: The checkpoint is missing, unsafe or does not fit.

    Examples:
        >>> inferencer = SaliencyInferencer('config.py', 'student.pth')  # doctest: +SKIP
        >>> saliency, = inferencer([mmcv.imread('photo.jpg')])  # doctest: +SKIP
    """

    def __init__(
        self,
        config,
        checkpoint,
        device: str | None = None,
        side: int = 352,
        batch_size: int = 8,
        fast: bool = True,
    ) -> None:
        if side < 1 or batch_size < 1:
            raise ConfigError(
                f'SaliencyInferencer: got side={side} and batch_size={batch_size}; '
                'both must be at least 1; KD-SCFNet uses side=352'
            )
        self.config = saliency_config(config)
        with torch.random.fork_rng(devices=[]):
            model = build_model(self.config.model)
        check_repeatable(saliency_head(model, 'the model'), 'the model')
        state, _ = read_checkpoint(str(checkpoint))
        check_fits(
            model, state, f"checkpoint '{checkpoint}'", f"the model of '{self.config.filename}'"
        )
        model.load_state_dict(state)
        self._state = state
        self.device = device or ('cuda' if torch.cuda.is_available() else 'cpu')
        # All in channels_last: nobody else reads the maps inside.
        whole = True if self.device == 'cpu' and find_accelerator() else None
        frozen = FrozenTeacher(model, trusted=True, channels_last=whole, exact=not fast)
        self.model = frozen.module.to(self.device)
        frozen.tune()
        self.side = side
        self.batch_size = batch_size

    @property
    def key(self) -> str:
        """Key of this network's stored weak labels."""
        return teacher_key(self.config.model, self._state, self.side)

    def __call__(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Predict the saliency maps of images.

        Args:
            images (Sequence[np.ndarray]): (H, W, 3) each, uint8, BGR; sizes may differ.

        Returns:
            list[np.ndarray]: (H, W) each, float32, in [0, 1], in the size of the image.
        """
        return [
            saliency
            for start in range(0, len(images), self.batch_size)
            for saliency in self._forward(images[start : start + self.batch_size])
        ]

    @torch.no_grad()
    def _forward(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        from mmseg.structures import SegDataSample

        size = (self.side, self.side)
        inputs = [
            torch.from_numpy(mmcv.imresize(image, size)).permute(2, 0, 1).contiguous()
            for image in images
        ]
        # Preprocessors with a test_cfg write the padding into the samples, and pad at the end.
        samples = [SegDataSample() for _ in inputs]
        data = self.model.data_preprocessor(dict(inputs=inputs, data_samples=samples))
        # The same shape for all images: mmseg warns if the results of a batch differ in size.
        meta = dict(ori_shape=size, img_shape=size, pad_shape=size)
        logits = self.model.inference(data['inputs'], [meta] * len(images)).float()
        logits = logits[..., : self.side, : self.side]
        maps = []
        for image, x in zip(images, saliency_logits(logits)[0], strict=True):
            x = resize_like(x[None], image.shape[:2], self.model.align_corners)
            maps.append(x.sigmoid()[0, 0].cpu().numpy())
        return maps

    def stream(self, images: Iterable[tuple]) -> Iterator[tuple]:
        """Predict on a stream of images, with one batch in memory at a time.

        Args:
            images (Iterable[tuple]): ``(key, image)`` with any key and an image (H, W, 3), uint8,
                BGR.

        Yields:
            tuple: ``(key, image, saliency)`` in the order of the stream.
        """
        batch: list[tuple] = []
        for entry in images:
            batch.append(entry)
            if len(batch) == self.batch_size:
                yield from self._predict(batch)
                batch = []
        yield from self._predict(batch)

    def _predict(self, batch: list[tuple]) -> Iterator[tuple]:
        for (key, image), saliency in zip(batch, self([i for _, i in batch]), strict=True):
            yield key, image, saliency
