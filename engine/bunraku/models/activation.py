"""The activations of the `.nam` format, in PyTorch."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bunraku.formats.specs import ActivationKind, ActivationSpec


def fast_tanh(x: Tensor) -> Tensor:
    """The rational approximation of tanh that the format calls Fasttanh (from
    NeuralAmpModelerCore): its coefficients are part of the format."""
    a = x.abs()
    square = x * x
    above = 2.45550750702956 * (1.0 + a) + (0.893229853513558 + 0.821226666969744 * a) * square
    below = 2.44506634652299 + (2.44506634652299 + square) * (x + 0.814642734961073 * x * a).abs()
    return x * above / below


FUNCTIONS: dict[ActivationKind, Callable[[Tensor], Tensor]] = {
    ActivationKind.Tanh: torch.tanh,
    ActivationKind.Hardtanh: F.hardtanh,
    ActivationKind.Fasttanh: fast_tanh,
    ActivationKind.ReLU: F.relu,
    ActivationKind.Sigmoid: torch.sigmoid,
    ActivationKind.SiLU: F.silu,
    ActivationKind.Hardswish: F.hardswish,
    ActivationKind.Softsign: F.softsign,
}


class Activation(nn.Module):
    """Elementwise on [batch, channels, frames]; the parameters of the spec are fixed."""

    parameters_of_spec: Tensor

    def __init__(self, spec: ActivationSpec) -> None:
        super().__init__()
        self.spec = spec
        values = torch.tensor(spec.parameters, dtype=torch.float32)
        self.register_buffer("parameters_of_spec", values, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.spec.kind in FUNCTIONS:
            return FUNCTIONS[self.spec.kind](x)
        values = self.parameters_of_spec
        if self.spec.kind == ActivationKind.LeakyHardtanh:
            low, high, low_slope, high_slope = values
            below = (x - low) * low_slope + low
            above = (x - high) * high_slope + high
            return torch.where(x < low, below, torch.where(x > high, above, x))
        return torch.where(x > 0, x, x * values[:, None])
