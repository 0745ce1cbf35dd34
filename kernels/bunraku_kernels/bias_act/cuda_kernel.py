"""Addresses and sizes for bias_act.cu."""

from __future__ import annotations

import torch
from torch import Tensor

from bunraku_kernels.activations import ACTIVATIONS
from bunraku_kernels.backends import address, cuda_module, cuda_stream
from bunraku_kernels.bias_act.passes import channel_steps, passes
from bunraku_kernels.dtypes import KERNEL_TYPES


def _launch(
    order: int, ddx: Tensor | None, dy: Tensor | None, x: Tensor, b: Tensor | None,
    dim: int, act: str, alpha: float, gain: float, clamp: float,
) -> Tensor:  # fmt: skip
    out = torch.empty_like(x)
    channels, stride = channel_steps(x, b, dim)
    cuda_module().bias_act(
        address(x), address(b), address(dy), address(ddx), address(out),
        x.numel(), channels, stride, alpha, gain, clamp,
        order, ACTIVATIONS[act].code, KERNEL_TYPES.index(x.dtype), cuda_stream(x),
    )  # fmt: skip
    return out


forward, grad, grad_of_grad = passes(_launch)
