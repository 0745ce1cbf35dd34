"""Frames and planes as the compiled modules take them: tuples of address, steps and sizes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bunraku_kernels.backends import address

Pixels = tuple[int, int, int, int, int]
Planes = tuple[int, bool, bool, int, int, int]
Triple = tuple[float, ...]


def pixels(frames: Tensor) -> Pixels:
    """uint8 [N, H, W, 3]: address, bytes from row to row and frame to frame, height, width."""
    _, height, width, _ = frames.shape
    return address(frames), frames.stride(1), frames.stride(0), height, width


def planes(tensor: Tensor) -> Planes:
    """Dense [N, C, h, w]: address, whether half, whether planar, C, height, width."""
    _, channels, height, width = tensor.shape
    half = tensor.dtype == torch.float16
    return address(tensor), half, tensor.is_contiguous(), channels, height, width


def codes_to_values(mean: Sequence[float], std: Sequence[float]) -> tuple[Triple, Triple]:
    """(scale, shift) of value = code * scale + shift."""
    scale = tuple(1 / (255 * s) for s in std)
    return scale, tuple(-m / s for m, s in zip(mean, std, strict=True))


def values_to_codes(mean: Sequence[float], std: Sequence[float]) -> tuple[Triple, Triple]:
    """(scale, shift) of code = value * scale + shift."""
    return tuple(255 * s for s in std), tuple(255 * m for m in mean)
