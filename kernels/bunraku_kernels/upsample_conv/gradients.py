"""The two gradients of the linear part, y = crop(conv_transpose2d(x, g)): PyTorch's strided
convolution with the composite kernel g, and that convolution's weight gradient. They count the
FLOP of the polyphase form, and cuDNN is fast at them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.grad import conv2d_weight

from bunraku_kernels.precision import exact_float32
from bunraku_kernels.upsample_conv.weights import phased, unphased


def memory_format_of(x: Tensor) -> torch.memory_format:
    """Channels-last for tensors that are so and nothing else; results take it over."""
    if not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last):
        return torch.channels_last
    return torch.contiguous_format


def uncropped(dy: Tensor, up: Sequence[int], crop: Sequence[int], full: Sequence[int]) -> Tensor:
    """dy [N, O, h, w] laid into the full result of that size, zeros around it."""
    ends = [full[axis] - crop[axis] - dy.shape[2 + axis] for axis in (0, 1)]
    return F.pad(dy, (crop[1], ends[1], crop[0], ends[0]))


def full_size(size: Sequence[int], taps: Sequence[int], up: Sequence[int]) -> tuple[int, int]:
    """Of the transposed convolution before the crop."""
    return (size[0] - 1 + taps[0]) * up[0], (size[1] - 1 + taps[1]) * up[1]


def input_grad(
    dy: Tensor, weights: Tensor, up: Sequence[int], crop: Sequence[int], size: Sequence[int]
) -> Tensor:
    """dy [N, O, OH, OW], weights [phases, th, tw, O, I] -> [N, I, *size]."""
    composite = unphased(weights, (up[0], up[1]), (crop[0], crop[1]))
    spread = uncropped(dy, up, crop, full_size(size, weights.shape[1:3], up))
    with exact_float32():
        dx = F.conv2d(spread, composite.transpose(0, 1), stride=tuple(up))
    return dx.contiguous(memory_format=memory_format_of(dy))


def weight_grad(
    dy: Tensor, x: Tensor, up: Sequence[int], crop: Sequence[int], taps: Sequence[int]
) -> Tensor:
    """dy [N, O, OH, OW], x [N, I, H, W] -> [phases, *taps, O, I]."""
    size = (x.shape[2], x.shape[3])
    spread = uncropped(dy, up, crop, full_size(size, taps, up))
    shape = [x.shape[1], dy.shape[1], taps[0] * up[0], taps[1] * up[1]]
    with exact_float32():
        composite = conv2d_weight(spread, shape, x, stride=tuple(up))  # type: ignore[no-untyped-call]
    return phased(composite.transpose(0, 1), (up[0], up[1]), (crop[0], crop[1])).contiguous()
