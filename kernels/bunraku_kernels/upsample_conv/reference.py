"""The definition of the two passes; the polyphase convolution as the transposed one it equals."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from bunraku_kernels.activations import ACTIVATIONS
from bunraku_kernels.dtypes import HALF_TYPES
from bunraku_kernels.precision import exact_float32
from bunraku_kernels.upsample_conv.gradients import full_size, memory_format_of
from bunraku_kernels.upsample_conv.weights import unphased

NORM_EPS = 1e-5


def forward(
    x: Tensor, weights: Tensor, style: Tensor | None, demod: Tensor | None, bias: Tensor | None,
    up: Sequence[int], crop: Sequence[int], size: Sequence[int],
    pre: str, pre_alpha: float, act: str, alpha: float, gain: float, clamp: float, stats: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """clamp(gain * act(demod * conv(style * pre(x)) + bias)), and per sample and channel its mean
    and 1 / sqrt(variance + NORM_EPS) [N, O, 2] where `stats`, else nothing [0]."""
    wide = torch.float32 if x.dtype in HALF_TYPES else x.dtype
    value = ACTIVATIONS[pre].value(x.to(wide), pre_alpha)
    if style is not None:
        value = value * style[:, :, None, None]
    composite = unphased(weights.to(wide), (up[0], up[1]), (crop[0], crop[1]))
    with exact_float32():
        full = F.conv_transpose2d(value, composite.transpose(0, 1), stride=tuple(up))
    high, across = full_size(x.shape[2:], weights.shape[1:3], up)
    u = F.pad(full, (-crop[1], size[1] + crop[1] - across, -crop[0], size[0] + crop[0] - high))
    if demod is not None:
        u = u * demod[:, :, None, None]
    if bias is not None:
        u = u + bias.to(wide)[:, None, None]
    y = gain * ACTIVATIONS[act].value(u, alpha)
    if clamp >= 0:
        y = y.clamp(-clamp, clamp)
    narrow = y.to(x.dtype).contiguous(memory_format=memory_format_of(x))
    return narrow, _statistics(y) if stats else x.new_empty(0, dtype=wide)


def normalize(
    u: Tensor, stats: Tensor, act: str, alpha: float, gain: float, clamp: float
) -> Tensor:
    """clamp(gain * act((u - mean) / deviation))."""
    mean, scale = stats[:, :, 0, None, None], stats[:, :, 1, None, None]
    y = gain * ACTIVATIONS[act].value((u.to(stats.dtype) - mean) * scale, alpha)
    y = y.clamp(-clamp, clamp) if clamp >= 0 else y
    return y.to(u.dtype).contiguous(memory_format=memory_format_of(u))


def _statistics(y: Tensor) -> Tensor:
    mean = y.mean((2, 3))
    variance = (y - mean[:, :, None, None]).square().mean((2, 3))
    return torch.stack([mean, torch.rsqrt(variance + NORM_EPS)], dim=2)
