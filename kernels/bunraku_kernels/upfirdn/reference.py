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
    # One plane in each batch row. A zero follows each sample, up - 1 times.
    spread = F.pad(x.reshape(-1, 1, height, 1, width, 1), (0, up[0] - 1, 0, 0, 0, up[1] - 1))
    padded = F.pad(spread.reshape(n * channels, 1, height * up[1], width * up[0]), list(padding))
    weights = gain * (torch.outer(f, f) if f.ndim == 1 else f).to(x.dtype)
    correlated = weights if flip else weights.flip(0, 1)
    # A float32 product stays one: no TF32, whatever the caller's settings.
    with exact_float32():
        y = F.conv2d(padded, correlated[None, None], stride=(down[1], down[0]))
    out = empty_output(x, f, up, down, padding)
    return out.copy_(y.reshape(out.shape))


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
