"""Half precision: 200 steps of each method stay finite and near float32's loss curve.

Near means: the mean of the total loss over every 20 steps in a row differs from that of float32 by
at most 2 %. Both runs see the same images and draw the same numbers.
"""

import contextlib

import numpy as np
import pytest
import torch

from tests.methods import METHODS, Samples, build

STEPS, WINDOW, TOLERANCE = 200, 20, 0.02
PRECISIONS = dict(float32=None, bf16=torch.bfloat16, fp16=torch.float16)


def batch_of(method, step):
    samples = Samples(METHODS[method][1], noise=False)
    batch = [samples[i] for i in range(step % 2 * 4, step % 2 * 4 + 4)]
    inputs = [sample['inputs'] for sample in batch]
    if isinstance(inputs[0], dict):
        inputs = {key: [one[key] for one in inputs] for key in inputs[0]}
    return dict(inputs=inputs, data_samples=[sample['data_samples'] for sample in batch])


def curve(method, dtype, steps=STEPS) -> np.ndarray:
    """The total loss of every step."""
    torch.manual_seed(0)
    model = build(method)
    model.init_weights()
    model.train()
    for module in model.modules():
        if hasattr(module, 'set_epoch'):
            module.set_epoch(0)
    # HKDNet's recipe; its large losses make a plain step of 1e-3 jump about.
    optimizer = (
        torch.optim.Adam(model.parameters(), lr=3e-5)
        if method == 'hkd'
        else torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    )
    # torch's scaler starts at 65536 and leaves out steps until it fits (five for hkd), after which
    # the curve is late and not off.
    scaler = torch.amp.GradScaler('cpu', init_scale=1024.0, enabled=dtype == torch.float16)
    totals = []
    for step in range(steps):
        torch.manual_seed(step)
        np.random.seed(step)
        data = model.data_preprocessor(batch_of(method, step), training=True)
        half = torch.autocast('cpu', dtype) if dtype else contextlib.nullcontext()
        with half:
            loss, _ = model.parse_losses(model(**data, mode='loss'))
        totals.append(loss.item())
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
    assert all(p.isfinite().all() for p in model.parameters())
    return np.array(totals)


def deviation(found, wanted) -> float:
    """The largest relative distance of the smoothed curves."""
    smooth = [np.convolve(one, np.full(WINDOW, 1 / WINDOW), 'valid') for one in (found, wanted)]
    return float(np.max(np.abs(smooth[0] - smooth[1]) / np.abs(smooth[1])))


@pytest.mark.slow
@pytest.mark.parametrize('method', METHODS)
def test_half_precision_follows_float32(method):
    wanted = curve(method, None)
    assert np.isfinite(wanted).all()
    for name in ('bf16', 'fp16'):
        found = curve(method, PRECISIONS[name])
        assert np.isfinite(found).all(), name
        off = deviation(found, wanted)
        print(f'{method} {name}: {off:.2%} off, loss {wanted[0]:.4g} -> {wanted[-1]:.4g}')
        assert off <= TOLERANCE, name
