"""Pointwise activations f with f' and f'', in PyTorch: what the operators' kernels must match.

The code of each is its place in the table; kernels know activations by that number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from bunraku_kernels.checks import is_one_of, shown
from bunraku_kernels.errors import InvalidInputError


@dataclass(frozen=True)
class Activation:
    """`value`, `slope` (f') and `curve` (f'') take (u, alpha) and keep the shape of u.

    alpha is the slope left of zero for lrelu, the asymptote's height for elu; others ignore it.
    """

    name: str
    value: Callable[[Tensor, float], Tensor]
    slope: Callable[[Tensor, float], Tensor]
    curve: Callable[[Tensor, float], Tensor]
    alpha: float = 0.0
    gain: float = 1.0  # keeps the variance of a normal input, He et al. (2015)

    @property
    def code(self) -> int:
        return list(ACTIVATIONS).index(self.name)


def _zero(u: Tensor, alpha: float) -> Tensor:
    return torch.zeros_like(u)


def _elu_tail(u: Tensor, alpha: float) -> Tensor:
    return alpha * torch.exp(torch.clamp(u, max=0.0))


def _tanh_slope(u: Tensor, alpha: float) -> Tensor:
    return 1 - torch.tanh(u) ** 2


def _sigmoid_slope(u: Tensor, alpha: float) -> Tensor:
    s = torch.sigmoid(u)
    return s * (1 - s)


def _silu_slope(u: Tensor, alpha: float) -> Tensor:
    s = torch.sigmoid(u)
    return s * (1 + u * (1 - s))


def _silu_curve(u: Tensor, alpha: float) -> Tensor:
    s = torch.sigmoid(u)
    return s * (1 - s) * (2 + u * (1 - 2 * s))


_ALL = (
    Activation("linear", lambda u, a: u, lambda u, a: torch.ones_like(u), _zero),
    Activation(
        "relu", lambda u, a: F.relu(u), lambda u, a: (u > 0).to(u.dtype), _zero, gain=2**0.5
    ),
    Activation(
        "lrelu",
        lambda u, a: torch.where(u > 0, u, a * u),
        lambda u, a: torch.where(u > 0, 1.0, a).to(u.dtype),
        _zero,
        alpha=0.2,
        gain=2**0.5,
    ),
    Activation(
        "tanh",
        lambda u, a: torch.tanh(u),
        _tanh_slope,
        lambda u, a: -2 * torch.tanh(u) * _tanh_slope(u, a),
    ),
    Activation(
        "sigmoid",
        lambda u, a: torch.sigmoid(u),
        _sigmoid_slope,
        lambda u, a: _sigmoid_slope(u, a) * (1 - 2 * torch.sigmoid(u)),
    ),
    Activation("silu", lambda u, a: F.silu(u), _silu_slope, _silu_curve, gain=2**0.5),
    Activation(
        "softplus", lambda u, a: F.softplus(u), lambda u, a: torch.sigmoid(u), _sigmoid_slope
    ),
    Activation(
        "elu",
        lambda u, a: torch.where(u > 0, u, _elu_tail(u, a) - a),
        lambda u, a: torch.where(u > 0, 1.0, _elu_tail(u, a)).to(u.dtype),
        lambda u, a: torch.where(u > 0, 0.0, _elu_tail(u, a)).to(u.dtype),
        alpha=1.0,
    ),
)
ACTIVATIONS = {activation.name: activation for activation in _ALL}


def activation_named(name: str) -> Activation:
    """InvalidInputError lists the names there are."""
    if not is_one_of(name, ACTIVATIONS):
        raise InvalidInputError(f"activation={shown(name)}: choose one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]
