"""Losses that fail in mixed precision run in float32."""

from unittest import mock

import pytest
import torch
import torch.nn.functional as F

from mmkd_sod.testing.operators import operators_of, plain_extension
from mmkd_sod.testing.small_detectors import random_batch
from tests.heads import built


@pytest.fixture
def as_on_a_gpu():
    """Autocast refuses the binary cross entropy of probabilities on a GPU, not on a CPU."""
    plain = F.binary_cross_entropy

    def refuse(*args, **kwargs):
        assert not torch.is_autocast_enabled('cpu')
        return plain(*args, **kwargs)

    with mock.patch.object(F, 'binary_cross_entropy', refuse):
        yield


@pytest.mark.parametrize(
    'dtype', [torch.float16, pytest.param(torch.bfloat16, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize(
    'name', ['AutoAssignHead', 'FreeAnchorRetinaHead', 'TOODHead', 'VFNetHead']
)
def test_losses_under_autocast(as_on_a_gpu, name, dtype):
    model = built(name)
    model.bbox_head.train()
    data = model.data_preprocessor(random_batch(), training=True)
    seen = []
    plain = model.bbox_head.loss_by_feat
    with (
        operators_of(plain_extension()),  # mmcv's own know no bfloat16 on a CPU
        torch.autocast('cpu', dtype),
        mock.patch.object(
            model.bbox_head, 'loss_by_feat', lambda *args, **_: seen.extend(args) or plain(*args)
        ),
    ):
        losses = model(**data, mode='loss')
    model.bbox_head.eval()
    assert any(level.dtype == dtype for levels in seen[:2] for level in levels)
    values = [
        v for value in losses.values() for v in (value if isinstance(value, list) else [value])
    ]
    assert all(value.dtype == torch.float32 and value.isfinite().all() for value in values)
