"""Addresses and sizes for upsample_conv.cu."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bunraku_kernels.activations import ACTIVATIONS
from bunraku_kernels.backends import address, cuda_module, cuda_stream
from bunraku_kernels.dtypes import KERNEL_TYPES
from bunraku_kernels.upsample_conv.gradients import memory_format_of
from bunraku_kernels.upsample_conv.reference import NORM_EPS


def forward(
    x: Tensor, weights: Tensor, style: Tensor | None, demod: Tensor | None, bias: Tensor | None,
    up: Sequence[int], crop: Sequence[int], size: Sequence[int],
    pre: str, pre_alpha: float, act: str, alpha: float, gain: float, clamp: float, stats: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    out_channels = weights.shape[3]
    shape = (x.shape[0], out_channels)
    y = torch.empty(
        (*shape, *size), dtype=x.dtype, device=x.device, memory_format=memory_format_of(x)
    )
    call = cuda_module().PhaseConv(
        list(x.shape), x.stride(), [out_channels, *size], y.stride(),
        [*up, *weights.shape[1:3], *crop], ACTIVATIONS[pre].code, pre_alpha,
        ACTIVATIONS[act].code, [alpha, gain, clamp], NORM_EPS,
    )  # fmt: skip
    result = torch.empty((*shape, 2) if stats else (0,), dtype=torch.float32, device=x.device)
    parts = result.new_empty(*shape, call.statistics_parts(), 3) if stats else None
    kept = [None if t is None else t.contiguous() for t in (weights, style, demod, bias)]
    call.run(
        address(x), *map(address, kept), address(y), address(parts), address(result),
        KERNEL_TYPES.index(x.dtype), cuda_stream(x),
    )  # fmt: skip
    return y, result


def normalize(
    u: Tensor, stats: Tensor, act: str, alpha: float, gain: float, clamp: float
) -> Tensor:
    y = torch.empty_like(u)
    batch, channels, height, width = u.shape
    cuda_module().upsample_conv_normalize(
        address(u), address(stats), address(y), batch, channels, height * width,
        not u.is_contiguous(), ACTIVATIONS[act].code, [alpha, gain, clamp],
        KERNEL_TYPES.index(u.dtype), cuda_stream(u),
    )  # fmt: skip
    return y
