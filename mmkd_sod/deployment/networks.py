"""Networks for export, from an image to tensors that a predictor without torch can process."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.data_preprocessors.normalisation import normalisation_of
from mmkd_sod.models.saliency import check_logits, check_repeatable, resize_like, saliency_logits


class ImageNetwork(nn.Module):
    """A model of mmdet or mmseg that includes its normalisation.

    Inputs are images (N, 3, H, W), floating, RGB, 0 to 255, also for models of BGR images.

    Args:
        model (BaseModel): Model in eval mode.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: BaseModel) -> None:
        super().__init__()
        self.model: Any = model
        found = normalisation_of(model.data_preprocessor)
        self.rgb = found.swap
        for name, values in (('mean', found.mean or (0.0,) * 3), ('std', found.std or (1.0,) * 3)):
            self.register_buffer(name, torch.tensor(values).view(-1, 1, 1))

    def features(self, image: Tensor) -> Sequence[Tensor]:
        """Normalise images (N, 3, H, W) and extract features."""
        x = image if self.rgb else image.flip(1)
        return self.model.extract_feat((x - self.mean) / self.std)

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs of ``forward``, in order."""
        raise NotImplementedError


class SegmentationNetwork(ImageNetwork):
    """Computes logits (N, C, H, W) in the size of the image.

    Args:
        model (nn.Module): An ``EncoderDecoder`` of mmseg, or a cascade of decode heads.
        saliency (bool): Whether to return the saliency logit only, (N, 1, H, W).

    Raises:
        ConfigError: The model has no decode head, or one that predicts in its own way
            or at random.
    """

    def __init__(self, model: nn.Module, saliency: bool = False) -> None:
        super().__init__(model)
        self.saliency = saliency
        heads = getattr(model, 'decode_head', None)
        self.heads: list[Any] = list(heads) if isinstance(heads, nn.ModuleList) else [heads]
        for head in self.heads:
            check_logits(head, 'export')
            check_repeatable(head, 'export')
        self.align_corners = bool(self.heads[-1].align_corners)

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs of ``forward``, in order."""
        return ['logits']

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits of images (N, 3, H, W)."""
        feats = self.features(image)
        logits: Any = None
        for number, head in enumerate(self.heads):
            # Of a head with several levels only the finest map is needed.
            if hasattr(head, 'decode'):
                logits = head.cls_seg(head.decode(feats)[0])
            else:
                logits = head(feats, logits) if number else head(feats)
        logits = saliency_logits(logits)[0] if self.saliency else logits
        return resize_like(logits, image.shape[2:], self.align_corners)


class DetectionNetwork(ImageNetwork):
    """Computes scores and decoded boxes of all locations, level by level.

    The outputs of a level are ``scores`` (1, P, C), in [0, 1], ``boxes`` (1, P, 4), corners in
    pixels of the input, not clipped, and, if the head has a centerness or IoU branch, ``factors``
    (1, P), in [0, 1].

    Args:
        model (nn.Module): A single-stage detector of mmdet whose head predicts as mmdet's
            ``BaseDenseHead`` or ``GFLHead``.

    Raises:
        ConfigError: The head has its own ``predict``.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
        from mmdet.models.dense_heads.gfl_head import GFLHead

        head: Any = getattr(model, 'bbox_head', None)
        kind: Any = type(head)
        known = isinstance(head, BaseDenseHead) and all(
            getattr(kind, name) is getattr(BaseDenseHead, name)
            for name in ('predict', 'predict_by_feat', '_bbox_post_process')
        )
        self.bins = known and kind._predict_by_feat_single is GFLHead._predict_by_feat_single
        if (
            not known
            or hasattr(model, 'roi_head')
            or getattr(head.loss_cls, 'custom_cls_channels', False)
            or (
                not self.bins
                and kind._predict_by_feat_single is not BaseDenseHead._predict_by_feat_single
            )
        ):
            raise ConfigError(
                f'export: {type(model).__name__} with bbox_head {kind.__name__} does not predict '
                "as mmdet's BaseDenseHead or GFLHead; export a single-stage detector such as GFL, "
                'RetinaNet, ATSS or FCOS'
            )
        self.head = head
        self.levels = len(head.prior_generator.strides)
        # Set in the first forward: mmdet treats a third output of a head as such a branch.
        self.factors: bool | None = None

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs of ``forward``, in order; known after the first forward."""
        if self.factors is None:
            raise RuntimeError('output_names is known after the first forward only')
        names = ['scores', 'boxes', *['factors'] * self.factors]
        return [f'{name}{level}' for level in range(self.levels) for name in names]

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs of all levels for one image (1, 3, H, W)."""
        cls, reg, *rest = self.head(self.features(image))
        self.factors = bool(rest and rest[0] is not None)
        priors = self.head.prior_generator.grid_priors(
            [x.shape[-2:] for x in cls], dtype=cls[0].dtype, device=cls[0].device
        )
        outputs = []
        for level in range(self.levels):
            outputs += [
                self._scores(cls[level])[None],
                self._boxes(reg[level], priors[level], level)[None],
            ]
            if self.factors:
                outputs.append(_rows(rest[0][level], 1)[:, 0].sigmoid()[None])
        return tuple(outputs)

    def _scores(self, logits: Tensor) -> Tensor:
        logits = _rows(logits, self.head.cls_out_channels)
        return logits.sigmoid() if self.head.use_sigmoid_cls else logits.softmax(-1)[:, :-1]

    def _boxes(self, reg: Tensor, priors: Tensor, level: int) -> Tensor:
        head = self.head
        if self.bins:
            distances = head.integral(_rows(reg, 4 * (head.reg_max + 1)))
            stride = head.prior_generator.strides[level][0]
            return head.bbox_coder.decode(head.anchor_center(priors), distances * stride)
        return head.bbox_coder.decode(priors, _rows(reg, head.bbox_coder.encode_size))


def _rows(x: Tensor, channels: int) -> Tensor:
    """Flatten (1, A * channels, H, W) to (H * W * A, channels) in the order of mmdet's priors."""
    return x[0].permute(1, 2, 0).reshape(-1, channels)
