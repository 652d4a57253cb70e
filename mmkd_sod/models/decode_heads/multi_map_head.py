"""What the decode heads with one saliency map a level share."""
from collections.abc import Sequence

from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import Tensor, nn

from mmkd_sod.models.saliency import resize_like


class MultiMapHead(BaseDecodeHead):
    """A decode head that makes one logit map a level; the finest is the answer.

    A subclass writes :meth:`decode` and sets ``conv_seg`` (the finest map's classifier),
    ``conv_side`` (the others') and ``level_weights`` (of each map's loss, finest first; a schedule
    may change them). In training each map is resized to the label and gets ``loss_decode`` times
    its level's weight. Prediction makes the finest map only.
    """

    # Pyramid level of the finest map, as the losses' names have it.
    first_level = 1

    def decode(self, inputs) -> list[Tensor]:
        """Features before the classifiers, finest first."""
        raise NotImplementedError

    def forward(self, inputs) -> tuple[Tensor, ...]:
        """Logit maps (N, 1, h, w) of all levels, finest first, each at its level's own size."""
        finest, *others = self.decode(inputs)
        return (self.cls_seg(finest),
                *(conv(feat) for conv, feat in zip(self.conv_side, others, strict=True)))

    def predict(self, inputs, batch_img_metas: list[dict], test_cfg: dict) -> Tensor:
        """The finest logit map (N, 1, H, W) at the input's size."""
        return self.predict_by_feat(self.cls_seg(self.decode(inputs)[0]), batch_img_metas)

    def loss_by_feat(self, seg_logits: Sequence[Tensor], batch_data_samples: list) -> dict:
        """Losses of all levels.

        Args:
            seg_logits (Sequence[Tensor]): What :meth:`forward` returns.
            batch_data_samples (list): Samples whose ``gt_sem_seg`` holds 0, 1 and
                ``ignore_index``.

        Returns:
            dict: ``<loss_name>_m<level>``, from ``first_level`` (the finest) on.
        """
        label = self._stack_batch_gt(batch_data_samples)
        modules = self.loss_decode if isinstance(self.loss_decode, nn.ModuleList) else [
            self.loss_decode]
        losses = {}
        for level, (logits, weight) in enumerate(
                zip(seg_logits, self.level_weights, strict=True), self.first_level):
            logits = resize_like(logits, label.shape[2:])
            for module in modules:
                # mmseg's losses want labels without the channel.
                losses[f'{module.loss_name}_m{level}'] = weight * module(
                    logits, label.squeeze(1), ignore_index=self.ignore_index)
        return losses
