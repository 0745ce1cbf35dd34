"""The definition of `bias_act`: y = clamp(gain * f(x + b), -c, c), its slope and its curve."""

from __future__ import annotations

import torch
from torch import Tensor

from bunraku_kernels.activations import ACTIVATIONS
from bunraku_kernels.dtypes import computed_in_float32


@computed_in_float32
def forward(
    x: Tensor, b: Tensor | None, dim: int, act: str, alpha: float, gain: float, clamp: float
) -> Tensor:
    y = gain * ACTIVATIONS[act].value(_shifted(x, b, dim), alpha)
    return y if clamp < 0 else torch.clamp(y, -clamp, clamp)


@computed_in_float32
def grad(
    dy: Tensor,
    x: Tensor,
    b: Tensor | None,
    dim: int,
    act: str,
    alpha: float,
    gain: float,
    clamp: float,
) -> Tensor:
    """dy * dy/dx. Where the clamp holds, the slope is 0."""
    u = _shifted(x, b, dim)
    return _kept(dy * gain * ACTIVATIONS[act].slope(u, alpha), u, act, alpha, gain, clamp)


@computed_in_float32
def grad_of_grad(
    ddx: Tensor,
    dy: Tensor,
    x: Tensor,
    b: Tensor | None,
    dim: int,
    act: str,
    alpha: float,
    gain: float,
    clamp: float,
) -> Tensor:
    """ddx * dy * d2y/dx2: what the gradient of `grad` is worth at x."""
    u = _shifted(x, b, dim)
    return _kept(ddx * dy * gain * ACTIVATIONS[act].curve(u, alpha), u, act, alpha, gain, clamp)


def _shifted(x: Tensor, b: Tensor | None, dim: int) -> Tensor:
    if b is None:
        return x
    return x + b.reshape([-1 if d == dim else 1 for d in range(x.ndim)])


def _kept(value: Tensor, u: Tensor, act: str, alpha: float, gain: float, clamp: float) -> Tensor:
    if clamp < 0:
        return value
    inside = (gain * ACTIVATIONS[act].value(u, alpha)).abs() < clamp
    return torch.where(inside, value, torch.zeros_like(value))
