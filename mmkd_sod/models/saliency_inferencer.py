"""Saliency maps of images, from a config and a checkpoint."""
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import mmcv
import numpy as np
import torch
from mmengine.config import Config
from mmengine.hub import get_config

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.builder import build_model
from mmkd_sod.models.saliency import resize_like, saliency_head, saliency_logits
from mmkd_sod.models.student import student_config
from mmkd_sod.models.teachers.frozen_teacher import FrozenTeacher, find_accelerator
from mmkd_sod.utils.checkpoint import check_fits, read_checkpoint
from mmkd_sod.utils.weak_labels import teacher_key


def saliency_config(config) -> Config:
    """The plain segmentor's config that a file, an address or a config stands for.

    Args:
        config (str | Path | Config): A file, ``'mmseg::folder/name.py'`` or a config; of a
            distillation the student is taken.

    Raises:
        ConfigError: The file is not there or has no model.
    """
    if not isinstance(config, Config):
        name = str(config)
        if '::' not in name and not Path(name).is_file():
            raise ConfigError(f"config '{name}' is not there; give the path of a config file")
        config = get_config(name) if '::' in name else Config.fromfile(name)
    if 'model' not in config:
        raise ConfigError(f"config '{config.filename}' has no model; give one that trains a model")
    plain = student_config(config)
    # Types without a scope are those of the config's own package.
    plain.model.setdefault('_scope_', plain.get('default_scope') or 'mmseg')
    return plain


def key_of_files(config, checkpoint, side: int = 352) -> str:
    """The key under which a teacher's weak labels are kept, from its config and checkpoint."""
    state, _ = read_checkpoint(str(checkpoint), 'teacher_ckpt')
    return teacher_key(saliency_config(config).model, state, side)


class SaliencyInferencer:
    """Predicts saliency maps with a trained segmentor, as testing does.

    An image is resized to ``side`` x ``side``, and its map back to the image's own size. As in
    mmseg the logits are resized and the sigmoid comes last; the released program applies it before
    the last resizing, which moves a map by less than a grey level or two at edges.

    Args:
        config (str | Path | Config): Config of a segmentor with one output channel, or of a
            distillation, whose student is taken.
        checkpoint (str | Path): Its checkpoint.
        device (str, optional): ``'cuda'``, ``'cpu'``, ...; a GPU where there is one by default.
        side (int): Side of the network's input.
        batch_size (int): Images a forward takes at most.
        fast (bool): Fold BN layers into convolutions, unless that moves an output by more than
            1e-4, and, on a CPU, run in channels_last; both where ``mmkd_sod/models/acceleration``
            is there.

    Raises:
        ConfigError: The config's model gives no saliency map.
        CheckpointError: The checkpoint is missing, unsafe or does not fit.

    Examples:
        >>> inferencer = SaliencyInferencer('config.py', 'student.pth')  # doctest: +SKIP
        >>> saliency, = inferencer([mmcv.imread('photo.jpg')])  # doctest: +SKIP
    """

    def __init__(self, config, checkpoint, device: str | None = None, side: int = 352,
                 batch_size: int = 8, fast: bool = True) -> None:
        if side < 1 or batch_size < 1:
            raise ConfigError(f'SaliencyInferencer: side={side} and batch_size={batch_size} must '
                              'be at least 1')
        self.config = saliency_config(config)
        with torch.random.fork_rng(devices=[]):
            model = build_model(self.config.model)
        saliency_head(model, 'the model')
        state, _ = read_checkpoint(str(checkpoint))
        check_fits(model, state, f"checkpoint '{checkpoint}'",
                   f"the model of '{self.config.filename}'")
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
        """The key under which this network's weak labels are kept."""
        return teacher_key(self.config.model, self._state, self.side)

    def __call__(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Saliency maps of images.

        Args:
            images (Sequence[np.ndarray]): (H, W, 3), uint8, BGR, of any sizes.

        Returns:
            list[np.ndarray]: (H, W), float32, in [0, 1], each of its image's size.
        """
        return [saliency for start in range(0, len(images), self.batch_size)
                for saliency in self._forward(images[start:start + self.batch_size])]

    @torch.no_grad()
    def _forward(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        size = (self.side, self.side)
        inputs = [torch.from_numpy(mmcv.imresize(image, size)).permute(2, 0, 1).contiguous()
                  for image in images]
        data = self.model.data_preprocessor(dict(inputs=inputs))
        # One shape for all: mmseg warns of a batch whose images end up in different sizes.
        meta = dict(ori_shape=size, img_shape=size, pad_shape=size)
        logits = self.model.inference(data['inputs'], [meta] * len(images)).float()
        maps = []
        for image, x in zip(images, saliency_logits(logits)[0], strict=True):
            x = resize_like(x[None], image.shape[:2], self.model.align_corners)
            maps.append(x.sigmoid()[0, 0].cpu().numpy())
        return maps

    def stream(self, images: Iterable[tuple]) -> Iterator[tuple]:
        """Predict on a stream without holding more than a batch of it.

        Args:
            images (Iterable[tuple]): ``(key, image)``; the key is anything, and ``image`` is as in
                :meth:`__call__`.

        Yields:
            tuple: ``(key, image, saliency)`` in the same order.
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
