"""Dice loss of saliency maps."""

import numpy as np
import torch
from torch import Tensor, nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.registry import MODELS


def released_sum(maps: Tensor) -> Tensor:
    """Sums of (N, C, H, W) over all but N with the rounding of the released program.

    It adds float32 numbers one after another down the columns, so that its sums are off by 1e-5 of
    their value where a map has 128 x 128 positions. The gradient is that of a sum.
    """
    plain = maps.flatten(1).sum(1)
    columns = maps.detach().transpose(2, 3).flatten(1).float().cpu().numpy()
    ordered = np.cumsum(columns, axis=1, dtype=np.float32)[:, -1]
    return plain + (torch.from_numpy(ordered).to(plain) - plain).detach()


def dice_per_image(prob: Tensor, target: Tensor, valid: Tensor | None = None,
                   smooth: float = 1., released_sums: bool = False) -> Tensor:
    """``1 - (2 sum(P G) + smooth) / (sum(P) + sum(G) + smooth)`` of each image.

    Args:
        prob (Tensor): P, (N, C, H, W), in [0, 1].
        target (Tensor): G, of the same shape, in [0, 1].
        valid (Tensor, optional): 1 where a position counts and 0 where not, of the same shape.
        smooth (float): Keeps 0/0 away: two empty maps have loss 0.
        released_sums (bool): Round as the released program does; see :func:`released_sum`.

    Returns:
        Tensor: (N,), in [0, 1).
    """
    if valid is not None:
        prob, target = prob * valid, target * valid
    if released_sums:
        overlap, total = released_sum(prob * target), released_sum(prob + target)
        return 1 - (2 * overlap + smooth) / (total + smooth)
    prob, target = prob.flatten(1), target.flatten(1)
    overlap = (prob * target).sum(1)
    return 1 - (2 * overlap + smooth) / (prob.sum(1) + target.sum(1) + smooth)


def saliency_inputs(name: str, logits: Tensor, target: Tensor, sigmoid_target: bool,
                    ignore_index: int | None) -> tuple[Tensor, Tensor, Tensor | None]:
    """Probabilities, float targets and the validity mask that the saliency losses work on.

    Args:
        name (str): The loss, for messages.
        logits (Tensor): (N, 1, H, W), not normalised, any floating type.
        target (Tensor): (N, 1, H, W) or (N, H, W). An integer target holds 0, 1 and
            ``ignore_index``; a floating one holds values in [0, 1], or logits where
            ``sigmoid_target``. No gradient flows into it.
        sigmoid_target (bool): Whether ``target`` holds logits, as a teacher's do.
        ignore_index (int, optional): Positions of an integer target to leave out.

    Returns:
        tuple: Probabilities and target in float32, and float validity or None when all count.

    Raises:
        ConfigError: The shapes disagree or there is more than one channel.
    """
    if target.dim() == logits.dim() - 1:
        target = target.unsqueeze(1)
    if logits.dim() != 4 or logits.shape[1] != 1 or target.shape != logits.shape:
        raise ConfigError(
            f'{name} needs logits (N, 1, H, W) and a target of that size, got logits '
            f'{tuple(logits.shape)} and target {tuple(target.shape)}; set out_channels=1 in the '
            'head and resize the logits to the target')
    target, valid = target.detach(), None
    if not target.is_floating_point():
        if ignore_index is not None:
            valid = (target != ignore_index).float()
            # Ignored positions hold 255 or the like, which is no probability.
            target = target * valid
    elif sigmoid_target:
        target = target.float().sigmoid()
    return logits.float().sigmoid(), target.float(), valid


@MODELS.register_module()
class DiceLoss(nn.Module):
    """Dice loss of a saliency map, per image, mean over the batch.

    ``1 - (2 sum(P G) + 1) / (sum(P) + sum(G) + 1)``, P the sigmoid of the logits (KD-SCFNet,
    ECCV 2022). The sums are not squared, unlike mmseg's loss of the same name. Computed in float32
    whatever the input's type.

    Args:
        sigmoid_target (bool): Apply the sigmoid to the target too: for a teacher's logits. With
            it this is the distillation loss of KD-SCFNet. Defaults to False.
        smooth (float): The 1 of the formula.
        loss_weight (float): Multiplies the loss.
        loss_name (str): Its name in mmseg's log; a name that begins with ``loss_`` is trained on.
        released_sums (bool): Round as the released program does, for a comparison with its logs:
            slower, and off by 1e-5 of the loss. Defaults to False: sums to float32's precision.
    """

    def __init__(self, sigmoid_target: bool = False, smooth: float = 1.,
                 loss_weight: float = 1., loss_name: str = 'loss_dice',
                 released_sums: bool = False) -> None:
        super().__init__()
        self.sigmoid_target = sigmoid_target
        self.smooth = smooth
        self.loss_weight = loss_weight
        self.loss_name = loss_name
        self.released_sums = released_sums

    def forward(self, logits: Tensor, target: Tensor, weight: None = None,
                ignore_index: int | None = 255) -> Tensor:
        """Compute the loss.

        Args:
            logits (Tensor): (N, 1, H, W).
            target (Tensor): (N, 1, H, W) or (N, H, W): integer 0, 1 and ``ignore_index``, or
                floating in [0, 1], or logits where ``sigmoid_target``. Detached.
            weight: Taken because mmseg's heads pass it; a pixel sampler is refused.
            ignore_index (int, optional): Positions of an integer target to leave out.

        Returns:
            Tensor: Scalar in [0, ``loss_weight``).
        """
        refuse_pixel_weight('DiceLoss', weight)
        prob, target, valid = saliency_inputs('DiceLoss', logits, target, self.sigmoid_target,
                                              ignore_index)
        loss = dice_per_image(prob, target, valid, self.smooth, self.released_sums)
        return self.loss_weight * loss.mean()


def refuse_pixel_weight(name: str, weight: Tensor | None) -> None:
    """Raise when a head of mmseg with a pixel sampler passes weights."""
    if torch.is_tensor(weight):
        raise ConfigError(f'{name} knows no weights of pixels, got some of shape '
                          f'{tuple(weight.shape)}; remove the sampler from the head')
