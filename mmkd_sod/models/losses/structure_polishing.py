"""Structure polishing loss: dice of the map plus dice of its boundary."""

from torch import Tensor, nn

from mmkd_sod.registry import MODELS

from .boundary_dice import BoundaryDiceLoss
from .dice import DiceLoss


@MODELS.register_module()
class StructurePolishingLoss(nn.Module):
    """``dice + boundary_weight * boundary dice`` of one saliency map (KD-SCFNet, ECCV 2022).

    For ``loss_decode`` of any decode head with one output channel; ``SCFHead`` applies it to each
    of its levels.

    Args:
        boundary_weight (float): Lambda of the paper.
        start (int): Side of the boundary window at epoch 0, odd; see ``boundary_window``.
        drop (int): Decrease of the side per step, even.
        every (int): Epochs between two steps.
        smooth (float): Added to numerator and denominator of both dice terms.
        loss_weight (float): Factor of the loss.
        loss_name (str): Name in mmseg's log; only names that start with ``loss_`` are trained on.
    """

    def __init__(
        self,
        boundary_weight: float = 1.0,
        start: int = 13,
        drop: int = 2,
        every: int = 10,
        smooth: float = 1.0,
        loss_weight: float = 1.0,
        loss_name: str = 'loss_sp',
    ) -> None:
        super().__init__()
        self.dice = DiceLoss(smooth=smooth)
        self.boundary = BoundaryDiceLoss(
            start=start, drop=drop, every=every, smooth=smooth, loss_weight=boundary_weight
        )
        self.loss_weight = loss_weight
        self.loss_name = loss_name

    def forward(
        self, logits: Tensor, target: Tensor, weight: None = None, ignore_index: int | None = 255
    ) -> Tensor:
        """Compute the loss.

        Args:
            logits (Tensor): (N, 1, H, W).
            target (Tensor): (N, 1, H, W) or (N, H, W): integers 0, 1 and ``ignore_index``, or
                floating in [0, 1]. Detached.
            weight: Accepted because mmseg's heads pass it; must be None.
            ignore_index (int, optional): Value of integer targets to ignore.

        Returns:
            Tensor: Scalar in [0, ``loss_weight * (1 + boundary_weight)``).
        """
        dice = self.dice(logits, target, weight, ignore_index)
        boundary = self.boundary(logits, target, weight, ignore_index)
        return self.loss_weight * (dice + boundary)
