"""Dice loss of boundary maps, with a boundary that narrows as training goes on."""

from torch import Tensor, nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.registry import MODELS

from .dice import dice_per_image, refuse_pixel_weight, saliency_inputs
from .square_max import square_max


def boundary_window(epoch: int, start: int = 13, drop: int = 2, every: int = 10) -> int:
    """Side of the window that widens a boundary: ``max(1, start - drop * ((epoch + 1) // every))``.

    Args:
        epoch (int): Epoch, counted from 0.
        start (int): Side in the first epochs, odd.
        drop (int): What it loses each time, even, so that it stays odd.
        every (int): Epochs between two steps; the first comes one epoch early, as in the release.

    Returns:
        int: An odd side of at least 1.

    Examples:
        >>> [boundary_window(e) for e in (0, 8, 9, 19, 58, 59, 68)]
        [13, 13, 11, 9, 3, 1, 1]
    """
    return max(1, start - drop * ((epoch + 1) // every))


def boundary_map(saliency: Tensor, window: int) -> Tensor:
    """The inner boundary of a map, widened.

    ``maxpool3x3(1 - M) - (1 - M)`` marks what lies inside an object and touches its outside; a
    max-pooling of side ``window`` and stride 1 then widens it. Outside the image counts as nothing:
    an object cut by the border has no boundary there.

    Args:
        saliency (Tensor): M, (N, C, H, W), in [0, 1].
        window (int): Odd side of the second pooling; 1 leaves the boundary as it is.

    Returns:
        Tensor: Of the same shape, in [0, 1].
    """
    background = 1 - saliency
    return square_max(square_max(background, 3) - background, window)


@MODELS.register_module()
class BoundaryDiceLoss(nn.Module):
    """Dice loss between the boundary maps of prediction and target (KD-SCFNet, ECCV 2022).

    The boundaries are wide at first, so that a coarse prediction meets the target's, and narrow as
    training goes on (:func:`boundary_window`). ``EpochScheduleHook`` of this package tells the
    epoch; without it the loss stays at epoch 0.

    Args:
        start (int): Side of the window at epoch 0, odd.
        drop (int): What the side loses at each step, even.
        every (int): Epochs between two steps.
        sigmoid_target, smooth, loss_weight, loss_name, released_sums: As in :class:`DiceLoss`.

    Raises:
        ConfigError: ``start`` is not odd and positive, ``drop`` not even, or ``every`` below 1.
    """

    def __init__(self, start: int = 13, drop: int = 2, every: int = 10,
                 sigmoid_target: bool = False, smooth: float = 1., loss_weight: float = 1.,
                 loss_name: str = 'loss_boundary', released_sums: bool = False) -> None:
        super().__init__()
        if start < 1 or start % 2 == 0 or drop < 0 or drop % 2 or every < 1:
            raise ConfigError(
                f'BoundaryDiceLoss needs an odd start, an even drop and every >= 1, got start='
                f'{start}, drop={drop}, every={every}; a window of even side has no centre')
        self.start, self.drop, self.every = start, drop, every
        self.sigmoid_target = sigmoid_target
        self.smooth = smooth
        self.loss_weight = loss_weight
        self.loss_name = loss_name
        self.released_sums = released_sums
        self.epoch = 0

    @property
    def window(self) -> int:
        """Side of the window at the current epoch."""
        return boundary_window(self.epoch, self.start, self.drop, self.every)

    def set_epoch(self, epoch: int) -> None:
        """Tell the loss which epoch runs, counted from 0."""
        self.epoch = epoch

    def forward(self, logits: Tensor, target: Tensor, weight: None = None,
                ignore_index: int | None = 255) -> Tensor:
        """Compute the loss; arguments as in :meth:`DiceLoss.forward`.

        Ignored positions count as background when boundaries are looked for, and are left out of
        the sums.
        """
        refuse_pixel_weight('BoundaryDiceLoss', weight)
        prob, target, valid = saliency_inputs('BoundaryDiceLoss', logits, target,
                                              self.sigmoid_target, ignore_index)
        if valid is not None:
            prob = prob * valid
        loss = dice_per_image(boundary_map(prob, self.window), boundary_map(target, self.window),
                              valid, self.smooth, self.released_sums)
        return self.loss_weight * loss.mean()

    def extra_repr(self) -> str:
        return f'start={self.start}, drop={self.drop}, every={self.every}, epoch={self.epoch}'
