"""DenseRows."""

import pytest
import torch

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.distillers import DenseRows


def test_rows_by_hand():
    first = torch.arange(2 * 4 * 1 * 2).reshape(2, 4, 1, 2)
    rows = DenseRows(2)([first, first[:, :, :, :1]])
    assert rows.shape == (2 * 2 * 2 + 2 * 1 * 2, 2)
    # Image 0, column 0: channels 0, 1 and then 2, 3.
    assert rows[:2].tolist() == [[0, 2], [4, 6]]
    assert rows[2:4].tolist() == [[1, 3], [5, 7]]
    assert torch.equal(DenseRows(2)(first), rows[:8])


def test_channels_last():
    x = torch.randn(2, 6, 3, 4)
    assert torch.equal(
        DenseRows(3)(x.contiguous(memory_format=torch.channels_last)), DenseRows(3)(x)
    )


def test_refuses():
    with pytest.raises(ConfigError, match='channels=0'):
        DenseRows(0)
    with pytest.raises(ConfigError, match='set channels'):
        DenseRows(3)(torch.zeros(1, 4, 2, 2))
    with pytest.raises(ConfigError, match='data_idx'):
        DenseRows(4)(torch.zeros(2, 4))
