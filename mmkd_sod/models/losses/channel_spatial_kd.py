"""Feature loss of CSKD: channel and position attention compared by CKA."""

from collections.abc import Iterator, Sequence

import torch
from mmengine.utils import is_seq_of
from torch import Tensor, nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.registry import MODELS
from mmkd_sod.utils.gather import gather_batches

from .channel_attention import attended_channels, channel_attention, channel_weights
from .cka import check_batch, cka_loss_from_grams, full_precision, gram
from .position_attention import PositionProjection, attended_values, grid_blocks

# On a CPU, slabs of this size stay in the cache and in memory that the allocator already holds;
# fresh pages from the system cost as much as the arithmetic.
SLAB_BYTES = 24 << 20


def slabs(length: int, nbytes: int, device: torch.device) -> Iterator[slice]:
    """Return slices of about ``SLAB_BYTES`` that cover a dimension; one slice except on a CPU.

    Args:
        length (int): Length of the dimension.
        nbytes (int): Bytes of the whole tensor.
        device (torch.device): Device of the tensor.
    """
    pieces = max(1, -(-nbytes // SLAB_BYTES)) if device.type == 'cpu' else 1
    step = -(-length // min(pieces, length))
    return (slice(start, start + step) for start in range(0, length, step))


def residual_gram(feat: Tensor, attended: Tensor, gamma: Tensor) -> tuple[Tensor, Tensor]:
    """Return the Gram matrix of ``feat + gamma * attended`` and its derivative by gamma.

    For the teacher, which gets no gradient: nothing of a feature's size is kept for the backward
    pass.

    Args:
        feat (Tensor): (..., N, d).
        attended (Tensor): (..., N, d); overwritten.
        gamma (Tensor): Scalar, detached.

    Returns:
        tuple[Tensor, Tensor]: (..., N, N) each.
    """
    gamma = gamma.reshape(())  # faster factor than a tensor of shape (1,)
    cross = attended @ feat.transpose(-1, -2)
    slope = cross + cross.transpose(-1, -2) + 2 * gamma * gram(attended)
    return gram(attended.mul_(gamma).add_(feat)), slope


class _BlockLosses(torch.autograd.Function):
    """Sum of the losses of all blocks; computes gradients in the forward pass.

    The loss of a block depends on that block alone, so its graph can be freed at once: memory is
    that of a few blocks, and their data stays in the cache.
    """

    @staticmethod
    def forward(ctx, block_losses, grid, teacher, student, *shared):
        wanted = ctx.needs_input_grad[3:]
        grads = [
            torch.zeros_like(x, memory_format=torch.contiguous_format) if want else None
            for want, x in zip(wanted, (student, *shared), strict=True)
        ]
        into = grid_blocks(student if grads[0] is None else grads[0], grid)
        total = student.new_zeros(())
        for s_blocks, t_blocks, g_blocks in zip(
            grid_blocks(student, grid), grid_blocks(teacher, grid), into, strict=True
        ):
            nbytes = t_blocks.numel() * t_blocks.element_size()
            for rows in slabs(len(t_blocks), nbytes, teacher.device):
                leaves = [
                    x if x is None else x.detach().requires_grad_(want)
                    for want, x in zip(wanted, (_stack(s_blocks[rows]), *shared), strict=True)
                ]
                with torch.set_grad_enabled(any(wanted)):
                    loss = block_losses(_stack(t_blocks[rows]), *leaves).sum()
                total += loss.detach()
                if any(wanted):
                    found = iter(
                        torch.autograd.grad(
                            loss, [x for x in leaves if x is not None and x.requires_grad]
                        )
                    )
                    for index, grad in enumerate(grads):
                        if index == 0 and grad is not None:
                            g_blocks[rows] = next(found).view(g_blocks[rows].shape)
                        elif grad is not None:
                            grad += next(found)
        ctx.save_for_backward(*grads)
        return total

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_total):
        return (
            None,
            None,
            None,
            *(grad if grad is None else grad * grad_total for grad in ctx.saved_tensors),
        )


def _stack(blocks: Tensor) -> Tensor:
    """Reshape (rows, columns, N, h, w, C) to (rows * columns, N, h * w, C)."""
    rows, cols, num, h, w, channels = blocks.shape
    # Moving the channels last in a first copy makes the two copies twice as fast as one.
    blocks = blocks.permute(2, 0, 3, 1, 4, 5).contiguous().permute(1, 3, 0, 2, 4, 5)
    return blocks.reshape(rows * cols, num, h * w, channels)


@MODELS.register_module()
class ChannelSpatialKDLoss(nn.Module):
    """Feature loss of CSKD: ``cam_weight * L_CAM + pam_weight * L_PAM``.

    Both terms are ``-log(|CKA| + 1e-8)`` of attended student and teacher features. L_CAM uses
    channel attention on the whole map; L_PAM is the mean over the blocks of a grid with position
    attention inside each block:

    - channel attention, ``E = X X^T`` over positions: ``gamma_cam * softmax((rowmax(E) - E) / tau)
      X + X``;
    - position attention: ``gamma_pam * softmax(query . key / tau) value + X``, with 1x1
      convolutions.

    Source: CSKD (Pattern Recognition Letters 180, 2024). ``gamma_cam`` and ``gamma_pam`` are
    scalars shared by student and teacher; they start at 0 and are learned, with gradients from both
    sides. The teacher's feature gets none.

    CKA compares the images of a batch with one another: it needs at least 3 images and is
    informative from about 8. Half precision is computed in float32. Deviation: a block with equal
    features in all images (such as zeros after ReLU) has no CKA and counts as 0 instead of NaN.

    Args:
        student_channels (int): Channels of the student's feature.
        teacher_channels (int): Channels of the teacher's feature. If both are equal, student and
            teacher share one set of convolutions.
        tau (float): Temperature of both attentions.
        grid (Sequence[int]): Blocks along H and W, cut as ``torch.chunk`` cuts.
        cam_weight (float): Weight of L_CAM; 0 disables it.
        pam_weight (float): Weight of L_PAM; 0 disables it.
        projection (str): Convolutions of the position attention: ``'resampled'`` for every block of
            every step (the released code), ``'fixed'`` (drawn once) or ``'learned'``; see
            ``mmkd_sod.models.losses.position_attention.PositionProjection``.
        gather (bool): Compare the images of all ranks, with gradients. Every rank computes the loss
            of the whole batch, so features must have one shape on all ranks. See
            ``mmkd_sod.utils.gather.gather_batches`` for the scale of the gradients.
        sum_terms (bool): Return the sum of both terms instead of a dict, as mmrazor's
            ``ConfigurableDistiller`` requires.

    Raises:
        ConfigError: An argument is out of range.
    """

    def __init__(
        self,
        student_channels: int,
        teacher_channels: int,
        tau: float = 2.0,
        grid: Sequence[int] = (5, 5),
        cam_weight: float = 0.3,
        pam_weight: float = 0.8,
        projection: str = 'resampled',
        gather: bool = False,
        sum_terms: bool = False,
    ) -> None:
        super().__init__()
        if not tau > 0:
            raise ConfigError(
                f'ChannelSpatialKDLoss: tau={tau} must be above 0; use 2 as in the paper'
            )
        if not is_seq_of(grid, int) or len(grid) != 2 or min(grid) < 1:
            raise ConfigError(
                f'ChannelSpatialKDLoss: grid={grid!r} must be two integers >= 1, the numbers of '
                'blocks along height and width; use (5, 5) as in the paper'
            )
        self.student_channels = student_channels
        self.teacher_channels = teacher_channels
        self.tau = tau
        self.grid = tuple(grid)
        self.cam_weight = cam_weight
        self.pam_weight = pam_weight
        self.gather = gather
        self.sum_terms = sum_terms
        # DistributedDataParallel refuses parameters without a gradient; a disabled term gives none.
        self.gamma_cam = nn.Parameter(torch.zeros(1), requires_grad=cam_weight != 0)
        self.gamma_pam = nn.Parameter(torch.zeros(1), requires_grad=pam_weight != 0)
        if pam_weight != 0:
            self.student_projection = PositionProjection(student_channels, tau, projection)
            self.teacher_projection = (
                self.student_projection
                if student_channels == teacher_channels
                else PositionProjection(teacher_channels, tau, projection)
            )

    def forward(self, student: Tensor, teacher: Tensor) -> dict[str, Tensor] | Tensor:
        """Compute both terms.

        Args:
            student (Tensor): (N, student_channels, H, W).
            teacher (Tensor): (N, teacher_channels, H, W); detached.

        Returns:
            dict[str, Tensor]: ``loss_cam`` and ``loss_pam``, weighted scalars >= 0; their sum with
            ``sum_terms``.

        Raises:
            ConfigError: Shapes do not fit, or there is only one image.
        """
        self._check(student, teacher)
        student, teacher = full_precision(student), full_precision(teacher.detach())
        with torch.autocast(student.device.type, enabled=False):
            if self.gather:
                student, teacher = gather_batches(student, teacher)
            check_batch(len(student), 'ChannelSpatialKDLoss')
            losses = {'loss_cam': student.new_zeros(()), 'loss_pam': student.new_zeros(())}
            if self.cam_weight != 0:
                losses['loss_cam'] = self.cam_weight * self._loss_cam(student, teacher)
            if self.pam_weight != 0:
                losses['loss_pam'] = self.pam_weight * self._loss_pam(student, teacher)
        return losses['loss_cam'] + losses['loss_pam'] if self.sum_terms else losses

    def _check(self, student: Tensor, teacher: Tensor) -> None:
        wanted = (len(student), self.student_channels, *student.shape[2:])
        if tuple(student.shape) != wanted or student.dim() != 4:
            raise ConfigError(
                f'ChannelSpatialKDLoss: the student feature has shape {tuple(student.shape)}; '
                f'student_channels={self.student_channels} needs (N, {self.student_channels}, H, '
                'W); set student_channels to the channels of that feature'
            )
        wanted = (len(student), self.teacher_channels, *student.shape[2:])
        if tuple(teacher.shape) != wanted:
            raise ConfigError(
                f'ChannelSpatialKDLoss: the teacher feature has shape {tuple(teacher.shape)}; '
                f'expected {wanted} for a student feature of {tuple(student.shape)}; set '
                'teacher_channels, or resize the features to the same height and width'
            )

    def _loss_cam(self, student: Tensor, teacher: Tensor) -> Tensor:
        kernel = gram(channel_attention(student, self.gamma_cam, self.tau).flatten(1))
        gamma = self.gamma_cam.to(kernel.dtype)
        with torch.no_grad():
            flat = teacher.flatten(2).contiguous()
            weights = channel_weights(flat, self.tau)
            # An inner product over all channels is the sum over slabs of channels.
            partial = [
                residual_gram(
                    flat[:, rows].flatten(1),
                    attended_channels(weights[:, rows], flat).flatten(1),
                    gamma,
                )
                for rows in slabs(flat.shape[1], flat.nbytes, flat.device)
            ]
            value, slope = (torch.stack(terms).sum(0) for terms in zip(*partial, strict=True))
        return cka_loss_from_grams(kernel, _with_slope(gamma, value, slope))

    def _loss_pam(self, student: Tensor, teacher: Tensor) -> Tensor:
        shared = [self.gamma_pam.to(student.dtype)]
        if self.student_projection.mode != 'resampled':
            shared += self.student_projection.convolutions(student)
            shared += self.teacher_projection.convolutions(teacher)
        total = _BlockLosses.apply(self._block_losses, self.grid, teacher, student, *shared)
        return total / sum(x.shape[0] * x.shape[1] for x in grid_blocks(teacher, self.grid))

    def _block_losses(self, teacher: Tensor, student: Tensor, gamma: Tensor, *convs) -> Tensor:
        """Return -log CKA of blocks (B, N, L, C), given weights and biases of the projections."""
        if convs:
            convs_s, convs_t = convs[:2], convs[2:]
        else:
            convs_s = self.student_projection.draw(student)
            convs_t = convs_s
            if self.teacher_projection is not self.student_projection:
                convs_t = self.teacher_projection.draw(teacher)
        attended = attended_values(student, *convs_s)
        kernel_s = gram((gamma * attended + student).flatten(2))
        with torch.set_grad_enabled(any(x.requires_grad for x in convs_t)):
            attended = attended_values(teacher, *convs_t)
        if attended.requires_grad:
            kernel_t = gram((gamma * attended + teacher).flatten(2))
        else:
            with torch.no_grad():
                value, slope = residual_gram(teacher.flatten(2), attended.flatten(2), gamma)
            kernel_t = _with_slope(gamma, value, slope)
        return cka_loss_from_grams(kernel_s, kernel_t)


def _with_slope(gamma: Tensor, value: Tensor, slope: Tensor) -> Tensor:
    """Return ``value`` with the derivative ``slope`` by gamma."""
    return value + (gamma - gamma.detach()) * slope
