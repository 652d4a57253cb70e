"""Dice loss of boundary maps whose boundaries narrow during training."""

from torch import Tensor, nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.registry import MODELS

from .dice import dice_per_image, refuse_pixel_weight, saliency_inputs
from .square_max import square_max


def boundary_window(epoch: int, start: int = 13, drop: int = 2, every: int = 10) -> int:
    """Return the window that widens a boundary: ``max(1, start - drop * ((epoch + 1) // every))``.

    Args:
        epoch (int): Epoch, counted from 0.
        start (int): Window side in the first epochs, odd.
        drop (int): Decrease per step, even, so that the side stays odd.
        every (int): Epochs between steps; the first comes one epoch early, as in the released code.

    Returns:
        int: Odd side, at least 1.

    Examples:
        >>> [boundary_window(e) for e in (0, 8, 9, 19, 58, 59, 68)]
        [13, 13, 11, 9, 3, 1, 1]
    """
    return max(1, start - drop * ((epoch + 1) // every))


def boundary_map(saliency: Tensor, window: int) -> Tensor:
    """Return the inner boundary of a saliency map, widened.

    ``maxpool3x3(1 - M) - (1 - M)`` marks positions inside an object that touch its outside; a
    max-pooling of side ``window`` and stride 1 widens them. An object cut by the image border has
    no boundary there.

    Args:
        saliency (Tensor): M, (N, C, H, W), in [0, 1].
        window (int): Odd side of the second pooling; 1 does not widen.

    Returns:
        Tensor: Same shape, in [0, 1].
    """
    background = 1 - saliency
    return square_max(square_max(background, 3) - background, window)


@MODELS.register_module()
class BoundaryDiceLoss(nn.Module):
    """Dice loss between the boundary maps of prediction and target (KD-SCFNet, ECCV 2022).

    Boundaries are wide at first, so that those of a coarse prediction overlap the target's, and
    narrow during training (``boundary_window``). ``EpochScheduleHook`` sets the epoch; without
    that hook the loss stays at epoch 0. Computed in float32.

    Args:
        start (int): Window side at epoch 0, odd.
        drop (int): Decrease of the side per step, even.
        every (int): Epochs between two steps.
        sigmoid_target (bool): Whether the target holds logits, as a teacher's maps do.
        smooth (float): Added to numerator and denominator; the dice of two empty maps is then 0.
        loss_weight (float): Factor of the loss.
        loss_name (str): Name in mmseg's log; only names that start with ``loss_`` are trained on.
        released_sums (bool): Round sums as the released code does; see ``released_sum``.

    Raises:
        ConfigError: ``start`` is not odd and positive, ``drop`` not even, or ``every`` below 1.
    """

    def __init__(
        self,
        start: int = 13,
        drop: int = 2,
        every: int = 10,
        sigmoid_target: bool = False,
        smooth: float = 1.0,
        loss_weight: float = 1.0,
        loss_name: str = 'loss_boundary',
        released_sums: bool = False,
    ) -> None:
        super().__init__()
        if start < 1 or start % 2 == 0 or drop < 0 or drop % 2 or every < 1:
            raise ConfigError(
                f'BoundaryDiceLoss: got start={start}, drop={drop}, every={every}; needs an odd '
                'start >= 1, an even drop >= 0 and every >= 1, since a window of even side has no '
                'centre; change these arguments'
            )
        self.start, self.drop, self.every = start, drop, every
        self.sigmoid_target = sigmoid_target
        self.smooth = smooth
        self.loss_weight = loss_weight
        self.loss_name = loss_name
        self.released_sums = released_sums
        self.epoch = 0

    @property
    def window(self) -> int:
        """Window side at the current epoch."""
        return boundary_window(self.epoch, self.start, self.drop, self.every)

    def set_epoch(self, epoch: int) -> None:
        """Set the current epoch, counted from 0."""
        self.epoch = epoch

    def forward(
        self, logits: Tensor, target: Tensor, weight: None = None, ignore_index: int | None = 255
    ) -> Tensor:
        """Compute the loss.

        Args:
            logits (Tensor): (N, 1, H, W).
            target (Tensor): (N, 1, H, W) or (N, H, W): integers 0, 1 and ``ignore_index``, or
                floating in [0, 1], or logits with ``sigmoid_target``. Detached.
            weight: Accepted because mmseg's heads pass it; must be None.
            ignore_index (int, optional): Value of integer targets to ignore. Ignored positions
                count as background for the boundaries and are excluded from the sums.

        Returns:
            Tensor: Scalar in [0, ``loss_weight``).

        Raises:
            ConfigError: Shapes do not fit, or pixel weights are passed.
        """
        refuse_pixel_weight('BoundaryDiceLoss', weight)
        prob, target, valid = saliency_inputs(
            'BoundaryDiceLoss', logits, target, self.sigmoid_target, ignore_index
        )
        if valid is not None:
            prob = prob * valid
        loss = dice_per_image(
            boundary_map(prob, self.window),
            boundary_map(target, self.window),
            valid,
            self.smooth,
            self.released_sums,
        )
        return self.loss_weight * loss.mean()

    def extra_repr(self) -> str:
        return f'start={self.start}, drop={self.drop}, every={self.every}, epoch={self.epoch}'
