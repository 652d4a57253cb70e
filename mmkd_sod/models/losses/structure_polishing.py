"""Structure polishing: dice of the map plus dice of its boundary."""

from torch import Tensor, nn

from mmkd_sod.registry import MODELS

from .boundary_dice import BoundaryDiceLoss
from .dice import DiceLoss


@MODELS.register_module()
class StructurePolishingLoss(nn.Module):
    """``dice + boundary_weight * boundary dice`` (KD-SCFNet, ECCV 2022), for one saliency map.

    :class:`mmkd_sod.SCFHead` applies it to each of its levels. As ``loss_decode`` of any other head
    of mmseg with one output channel it works as well.

    Args:
        boundary_weight (float): The lambda of the paper.
        start, drop, every: The window's schedule, as in :class:`BoundaryDiceLoss`.
        smooth, loss_weight, loss_name: As in :class:`DiceLoss`.
    """

    def __init__(self, boundary_weight: float = 1., start: int = 13, drop: int = 2,
                 every: int = 10, smooth: float = 1., loss_weight: float = 1.,
                 loss_name: str = 'loss_sp') -> None:
        super().__init__()
        self.dice = DiceLoss(smooth=smooth)
        self.boundary = BoundaryDiceLoss(
            start=start, drop=drop, every=every, smooth=smooth, loss_weight=boundary_weight)
        self.loss_weight = loss_weight
        self.loss_name = loss_name

    def forward(self, logits: Tensor, target: Tensor, weight: None = None,
                ignore_index: int | None = 255) -> Tensor:
        """Compute the loss; arguments as in :meth:`DiceLoss.forward`.

        Returns:
            Tensor: Scalar in [0, ``loss_weight * (1 + boundary_weight)``).
        """
        dice = self.dice(logits, target, weight, ignore_index)
        boundary = self.boundary(logits, target, weight, ignore_index)
        return self.loss_weight * (dice + boundary)
