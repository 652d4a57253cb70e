"""Dice loss of saliency maps."""

import numpy as np
import torch
from torch import Tensor, nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.registry import MODELS


def released_sum(maps: Tensor) -> Tensor:
    """Sum (N, C, H, W) over all but N with the rounding of the released code.

    The released code adds float32 numbers one by one down the columns; at 128 x 128 positions its
    sums are off by a relative 1e-5. The gradient is that of an exact sum.
    """
    plain = maps.flatten(1).sum(1)
    columns = maps.detach().transpose(2, 3).flatten(1).float().cpu().numpy()
    ordered = np.cumsum(columns, axis=1, dtype=np.float32)[:, -1]
    return plain + (torch.from_numpy(ordered).to(plain) - plain).detach()


def dice_per_image(
    prob: Tensor,
    target: Tensor,
    valid: Tensor | None = None,
    smooth: float = 1.0,
    released_sums: bool = False,
) -> Tensor:
    """Return ``1 - (2 sum(P G) + smooth) / (sum(P) + sum(G) + smooth)`` for each image.

    Args:
        prob (Tensor): P, (N, C, H, W), in [0, 1].
        target (Tensor): G, of the same shape, in [0, 1].
        valid (Tensor, optional): 1 at positions that count and 0 elsewhere, of the same shape.
        smooth (float): Avoids 0 / 0: two empty maps have loss 0.
        released_sums (bool): Round as the released code does; see ``released_sum``.

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


def saliency_inputs(
    name: str, logits: Tensor, target: Tensor, sigmoid_target: bool, ignore_index: int | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return probabilities, float targets and the validity mask for the saliency losses.

    Args:
        name (str): Class of the loss, for messages.
        logits (Tensor): (N, 1, H, W), any floating type.
        target (Tensor): (N, 1, H, W) or (N, H, W). Integers 0, 1 and ``ignore_index``, or floating
            in [0, 1], or logits with ``sigmoid_target``. Detached here.
        sigmoid_target (bool): Whether ``target`` holds logits, as a teacher's maps do.
        ignore_index (int, optional): Value of integer targets to ignore.

    Returns:
        tuple: Probabilities and target in float32, and the float mask of valid positions or None if
        all are valid.

    Raises:
        ConfigError: The shapes disagree or there is more than one channel.
    """
    if target.dim() == logits.dim() - 1:
        target = target.unsqueeze(1)
    if logits.dim() != 4 or logits.shape[1] != 1 or target.shape != logits.shape:
        raise ConfigError(
            f'{name}: got logits {tuple(logits.shape)} and target {tuple(target.shape)}; both must '
            'have one shape (N, 1, H, W); set out_channels=1 in the decode head and resize the '
            'logits to the target'
        )
    target, valid = target.detach(), None
    if not target.is_floating_point():
        if ignore_index is not None:
            valid = (target != ignore_index).float()
            # The ignored value, often 255, is not a probability.
            target = target * valid
    elif sigmoid_target:
        target = target.float().sigmoid()
    return logits.float().sigmoid(), target.float(), valid


@MODELS.register_module()
class DiceLoss(nn.Module):
    """Dice loss of saliency maps, averaged over the images (KD-SCFNet, ECCV 2022).

    ``1 - (2 sum(P G) + 1) / (sum(P) + sum(G) + 1)`` per image, P the sigmoid of the logits. Unlike
    in mmseg's loss of the same name the sums are not squared. Computed in float32.

    Args:
        sigmoid_target (bool): Whether the target holds logits, as a teacher's maps do. With True
            this is the distillation loss of KD-SCFNet.
        smooth (float): The 1 of the formula.
        loss_weight (float): Factor of the loss.
        loss_name (str): Name in mmseg's log; only names that start with ``loss_`` are trained on.
        released_sums (bool): Round sums as the released code does, for comparisons with its logs;
            slower, and off by a relative 1e-5. Default: False, exact to float32.
    """

    def __init__(
        self,
        sigmoid_target: bool = False,
        smooth: float = 1.0,
        loss_weight: float = 1.0,
        loss_name: str = 'loss_dice',
        released_sums: bool = False,
    ) -> None:
        super().__init__()
        self.sigmoid_target = sigmoid_target
        self.smooth = smooth
        self.loss_weight = loss_weight
        self.loss_name = loss_name
        self.released_sums = released_sums

    def forward(
        self, logits: Tensor, target: Tensor, weight: None = None, ignore_index: int | None = 255
    ) -> Tensor:
        """Compute the loss.

        Args:
            logits (Tensor): (N, 1, H, W).
            target (Tensor): (N, 1, H, W) or (N, H, W): integers 0, 1 and ``ignore_index``, or
                floating in [0, 1], or logits with ``sigmoid_target``. Detached.
            weight: Accepted because mmseg's heads pass it; must be None.
            ignore_index (int, optional): Value of integer targets to ignore.

        Returns:
            Tensor: Scalar in [0, ``loss_weight``).

        Raises:
            ConfigError: Shapes do not fit, or pixel weights are passed.
        """
        refuse_pixel_weight('DiceLoss', weight)
        prob, target, valid = saliency_inputs(
            'DiceLoss', logits, target, self.sigmoid_target, ignore_index
        )
        loss = dice_per_image(prob, target, valid, self.smooth, self.released_sums)
        return self.loss_weight * loss.mean()


def refuse_pixel_weight(name: str, weight: Tensor | None) -> None:
    """Raise ConfigError for pixel weights, which a decode head of mmseg with a sampler passes."""
    if torch.is_tensor(weight):
        raise ConfigError(
            f'{name}: got pixel weights of shape {tuple(weight.shape)}; this loss '
            'takes none; remove the sampler from the decode head'
        )
