"""How far a change moves what a teacher answers."""
import torch

from mmkd_sod.utils.tensors import flat


def largest_move(found, wanted) -> float:
    """Largest difference of two answers, relative to the largest number (at least 1) of its map.

    Args:
        found: Nested tuples, lists and dicts of tensors.
        wanted: The same of another run.

    Returns:
        float: 0 where there is no tensor; nan where one has nan.

    Raises:
        ValueError: The two have different numbers of tensors.
    """
    moves = [(a.float() - b.float()).abs().max() / b.float().abs().max().clamp(min=1)
             for a, b in zip(flat(found), flat(wanted), strict=True)]
    # Python's max would pass a nan by, torch's does not.
    return float(torch.stack([move.cpu() for move in moves]).max()) if moves else 0.
