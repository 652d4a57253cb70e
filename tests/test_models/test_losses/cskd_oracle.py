"""Reference implementation of CSKD's loss, one block after the other."""

import torch
from torch import nn


def hsic(x, y):
    num = len(x)
    h = torch.eye(num, dtype=x.dtype) - 1.0 / num
    return ((h @ (x @ x.t()) @ h) * (h @ (y @ y.t()) @ h)).sum()


def cka_loss(x, y):
    x, y = x.flatten(1), y.flatten(1)
    cka = hsic(x, y) / (hsic(x, x).sqrt() * hsic(y, y).sqrt())
    return -torch.log(cka.abs() + 1e-8)


def channel_attention(x, gamma, tau):
    flat = x.flatten(2)
    energy = flat @ flat.transpose(1, 2)
    weights = torch.softmax((energy.max(-1, keepdim=True)[0] - energy) / tau, -1)
    return gamma * (weights @ flat).view(x.shape) + x


def new_convs(channels):
    """Return query, key and value convolutions with torch's initialisation."""
    depth = channels // 8
    return nn.ModuleList(nn.Conv2d(channels, out, 1) for out in (depth, depth, channels))


def position_attention(x, gamma, tau, convs):
    query, key, value = (conv(x).flatten(2) for conv in convs)
    weights = torch.softmax(query.transpose(1, 2) @ key / tau, -1)
    return gamma * (value @ weights.transpose(1, 2)).view(x.shape) + x


def channel_spatial_losses(
    student, teacher, gamma_cam, gamma_pam, tau=2.0, grid=(5, 5), convs_s=None, convs_t=None
):
    """Return unweighted (L_CAM, L_PAM); without convolutions every block gets new ones."""
    loss_cam = cka_loss(
        channel_attention(student, gamma_cam, tau), channel_attention(teacher, gamma_cam, tau)
    )
    losses = []
    for row_s, row_t in zip(student.chunk(grid[0], 2), teacher.chunk(grid[0], 2), strict=True):
        for s, t in zip(row_s.chunk(grid[1], 3), row_t.chunk(grid[1], 3), strict=True):
            losses.append(
                cka_loss(
                    position_attention(s, gamma_pam, tau, convs_s or new_convs(s.shape[1])),
                    position_attention(t, gamma_pam, tau, convs_t or new_convs(t.shape[1])),
                )
            )
    return loss_cam, torch.stack(losses).mean()
