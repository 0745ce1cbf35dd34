"""Addresses and sizes for bias_act.cu."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bunraku_kernels.activations import ACTIVATIONS
from bunraku_kernels.backends import address, cuda_module, cuda_stream
from bunraku_kernels.dtypes import KERNEL_TYPES


def forward(x: Tensor, b: Tensor | None, *settings: Any) -> Tensor:
    return _launch(0, None, None, x, b, *settings)


def grad(dy: Tensor, x: Tensor, b: Tensor | None, *settings: Any) -> Tensor:
    return _launch(1, None, dy, x, b, *settings)


def grad_of_grad(ddx: Tensor, dy: Tensor, x: Tensor, b: Tensor | None, *settings: Any) -> Tensor:
    return _launch(2, ddx, dy, x, b, *settings)


def _launch(
    order: int, ddx: Tensor | None, dy: Tensor | None, x: Tensor, b: Tensor | None,
    dim: int, act: str, alpha: float, gain: float, clamp: float,
) -> Tensor:  # fmt: skip
    out = torch.empty_like(x)
    bias = None if b is None else b.contiguous()
    # A dimension of size 1 may have any stride, 0 too.
    channels, stride = (1, 1) if b is None else (x.shape[dim], max(x.stride(dim), 1))
    cuda_module().bias_act(
        address(x), address(bias), address(dy), address(ddx), address(out),
        x.numel(), channels, stride, alpha, gain, clamp,
        order, ACTIVATIONS[act].code, KERNEL_TYPES.index(x.dtype), cuda_stream(x),
    )  # fmt: skip
    return out
