"""The definition of `upfirdn` in four steps, and of the fused passes as bias_act's after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bunraku_kernels.bias_act import reference as bias_act
from bunraku_kernels.dtypes import computed_in_float32
from bunraku_kernels.precision import exact_float32
from bunraku_kernels.upfirdn.geometry import empty_output


@computed_in_float32
def forward(
    x: Tensor, f: Tensor, up: Sequence[int], down: Sequence[int], padding: Sequence[int],
    flip: bool, gain: float,
) -> Tensor:  # fmt: skip
    n, channels, height, width = x.shape
    out = empty_output(x, f, up, down, padding)
    if out.numel() == 0:
        return out
    # A zero follows each sample, up - 1 times.
    spread = x.new_zeros(n, channels, height * up[1], width * up[0])
    spread[:, :, :: up[1], :: up[0]] = x
    padded = F.pad(spread, list(padding))
    weights = gain * (torch.outer(f, f) if f.ndim == 1 else f).to(x.dtype)
    correlated = (weights if flip else weights.flip(0, 1)).expand(channels, 1, -1, -1)
    # A float32 product stays one: no TF32, whatever the caller's settings.
    with exact_float32():
        y = F.conv2d(padded, correlated, stride=(down[1], down[0]), groups=channels)
    return out.copy_(y)


@computed_in_float32
def fused(
    x: Tensor, f: Tensor, b: Tensor | None,
    up: Sequence[int], down: Sequence[int], padding: Sequence[int],
    flip: bool, gain: float, *act: Any,
) -> Tensor:  # fmt: skip
    u = forward(x, f, up, down, padding, flip, gain)
    return bias_act.forward(u, b, 1, *act)


@computed_in_float32
def fused_grad(
    x: Tensor, f: Tensor, b: Tensor | None, dy: Tensor,
    up: Sequence[int], down: Sequence[int], padding: Sequence[int],
    flip: bool, gain: float, *act: Any,
) -> Tensor:  # fmt: skip
    u = forward(x, f, up, down, padding, flip, gain)
    return bias_act.grad(dy, u, b, 1, *act)


@computed_in_float32
def fused_grad_of_grad(
    x: Tensor, f: Tensor, b: Tensor | None, dy: Tensor, ddu: Tensor,
    up: Sequence[int], down: Sequence[int], padding: Sequence[int],
    flip: bool, gain: float, *act: Any,
) -> Tensor:  # fmt: skip
    u = forward(x, f, up, down, padding, flip, gain)
    return bias_act.grad_of_grad(ddu, dy, u, b, 1, *act)
