"""Finding NaN or infinite gradients, and the loss terms that they come from."""

import functools
from collections.abc import Callable, Iterable

import torch
from mmengine.model import is_model_wrapper
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from torch import Tensor


def plain_model(runner):
    """Return a runner's model without the wrapper of a distributed run."""
    return runner.model.module if is_model_wrapper(runner.model) else runner.model


def _overflows(gradients: Iterable[Tensor | None]) -> Tensor | None:
    """Return whether the norm of some gradients is NaN or infinite, on their device."""
    # The norm of gradients in float16 overflows where they do not.
    known = [g for g in gradients if g is not None and not g.is_sparse and g.dtype != torch.float16]
    return ~torch.nn.utils.get_total_norm(known).isfinite() if known else None


class GradientGuard:
    """Keeps NaN or infinite gradients from the weights without a host synchronisation.

    Before each step of the optimizer, gradients whose norm is not finite are set to zero on the
    device; all others stay as they are, bit for bit. mmengine's wrappers for mixed precision are
    not guarded: their loss scaler skips such steps.

    Args:
        optim_wrapper (OptimWrapper): The wrapper of the run's optimizer.
        on_bad (Callable, optional): Is called in place of a step with bad gradients, which costs a
            synchronisation per step.
    """

    def __init__(
        self, optim_wrapper: OptimWrapper, on_bad: Callable[[], None] | None = None
    ) -> None:
        self._optim_wrapper = optim_wrapper
        self._on_bad = on_bad
        # Whether gradients since the last call of `forget` were bad; on the device.
        self.found: Tensor | None = None
        self._guards = type(optim_wrapper) is OptimWrapper
        if self._guards:
            self._step = optim_wrapper.step
            # With the attributes by which mmengine's schedulers know the step.
            optim_wrapper.step = functools.wraps(self._step)(functools.partial(self._guarded_step))

    def _guarded_step(self, *args, **kwargs) -> None:
        gradients = [
            parameter.grad
            for group in self._optim_wrapper.optimizer.param_groups
            for parameter in group['params']
            if parameter.grad is not None
        ]
        bad = _overflows(gradients)
        if bad is not None:
            if self._on_bad is not None:
                if bad:
                    return self._on_bad()
            else:
                self.found = bad if self.found is None else self.found | bad
                # On a CPU the flag can be read at no cost.
                if bad.device.type != 'cpu' or bad:
                    for gradient in gradients:
                        if not gradient.is_sparse:
                            gradient.masked_fill_(bad.to(gradient.device), 0)
        return self._step(*args, **kwargs)

    def forget(self) -> None:
        """Start anew."""
        self.found = None

    def remove(self) -> None:
        """Restore the optimizer wrapper."""
        if self._guards:
            self._optim_wrapper.step = self._step


def terms_with_bad_gradients(runner, data_batch) -> dict[str, float]:
    """Compute the losses of a batch again; return those whose gradient is NaN or infinite.

    All ranks have to call this together. It runs a forward pass, and a backward pass per term.

    Args:
        runner (Runner): A training run with finite weights.
        data_batch: The batch, as the data loader gave it.

    Returns:
        dict: Values of the terms by name, in the order of the model's losses.
    """
    model = plain_model(runner)
    parameters = [p for p in model.parameters() if p.requires_grad]
    data = model.data_preprocessor(data_batch, True)
    with runner.optim_wrapper.optim_context(runner.model):
        losses = model._run_forward(data, mode='loss')
    found = {}
    for name, value in losses.items():
        parts = value if isinstance(value, (list, tuple)) else [value]
        total = sum(part.mean() for part in parts)
        if 'loss' not in name or not isinstance(total, Tensor) or not total.requires_grad:
            continue
        bad = _overflows(
            torch.autograd.grad(total, parameters, retain_graph=True, allow_unused=True)
        )
        if bad is not None and bad:
            found[name] = float(total)
    return found


def collapsed_loss_scale(optim_wrapper) -> float | None:
    """Return the loss scale of mixed precision if it fell so far that every step was skipped."""
    if not isinstance(optim_wrapper, AmpOptimWrapper):
        return None
    scale = float(optim_wrapper.loss_scaler.get_scale())
    return scale if scale < 2**-40 else None
