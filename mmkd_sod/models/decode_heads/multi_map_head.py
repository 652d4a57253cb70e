"""Base class of decode heads with one saliency map per level."""

from collections.abc import Sequence

from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import Tensor, nn

from mmkd_sod.models.saliency import resize_like


class MultiMapHead(BaseDecodeHead):
    """Decode head that predicts one logit map per level; the finest map is the prediction.

    Subclasses implement ``decode`` and set ``conv_seg`` (classifier of the finest map),
    ``conv_side`` (classifiers of the others) and ``level_weights`` (loss weight per level, finest
    first; a schedule may change them). In training each map is resized to the label and gets
    ``loss_decode`` times the weight of its level. At inference only the finest map is computed.
    """

    # Pyramid level of the finest map in the names of the losses.
    first_level = 1

    def decode(self, inputs) -> list[Tensor]:
        """Return the features before the classifiers, finest first."""
        raise NotImplementedError

    def forward(self, inputs) -> tuple[Tensor, ...]:
        """Return logit maps (N, 1, h, w) of all levels, finest first, each in its own size."""
        finest, *others = self.decode(inputs)
        return (
            self.cls_seg(finest),
            *(conv(feat) for conv, feat in zip(self.conv_side, others, strict=True)),
        )

    def predict(self, inputs, batch_img_metas: list[dict], test_cfg: dict) -> Tensor:
        """Return the finest logit map, resized to the input's size (N, 1, H, W)."""
        return self.predict_by_feat(self.cls_seg(self.decode(inputs)[0]), batch_img_metas)

    def loss_by_feat(self, seg_logits: Sequence[Tensor], batch_data_samples: list) -> dict:
        """Compute the losses of all levels.

        Args:
            seg_logits (Sequence[Tensor]): Outputs of ``forward``.
            batch_data_samples (list): Samples with values 0, 1 and ``ignore_index`` in
                ``gt_sem_seg``.

        Returns:
            dict: ``<loss_name>_m<level>`` per level; the finest is ``first_level``.
        """
        label = self._stack_batch_gt(batch_data_samples)
        modules = (
            self.loss_decode if isinstance(self.loss_decode, nn.ModuleList) else [self.loss_decode]
        )
        losses = {}
        for level, (logits, weight) in enumerate(
            zip(seg_logits, self.level_weights, strict=True), self.first_level
        ):
            logits = resize_like(logits, label.shape[2:])
            for module in modules:
                # mmseg's losses take labels without a channel dimension.
                losses[f'{module.loss_name}_m{level}'] = weight * module(
                    logits, label.squeeze(1), ignore_index=self.ignore_index
                )
        return losses
