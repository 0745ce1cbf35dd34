"""The definition of both ways, in float64: what an implementation is measured against."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

# PyTorch's kernel keeps the windows of a warp in 48 KB of shared memory, and raises where they do
# not fit: in float64 beyond 46.
MOST_SHRINKING_ON_GPU = 32


def to_tensor(
    frame: Tensor,
    out: Tensor,
    bgr: bool,
    mean: Sequence[float],
    std: Sequence[float],
    antialias: bool,
) -> None:
    if out.numel() == 0:
        return
    codes = _planes(frame, bgr)
    height, width = out.shape[2:]
    resized = _resized(codes, height, width, antialias)
    out.copy_((resized / 255 - _by_channel(mean, out)) / _by_channel(std, out))


def to_frame(
    y: Tensor, original: Tensor, mask: Tensor | None, out: Tensor,
    bgr: bool, mean: Sequence[float], std: Sequence[float], antialias: bool,
) -> None:  # fmt: skip
    if out.numel() == 0:
        return
    height, width = original.shape[1:3]
    # Scaled first, so that std = 1 / 255 is exactly one code and halves stay halves.
    values = y.double() * (255 * _by_channel(std, y)) + 255 * _by_channel(mean, y)
    codes = _resized(_limited(values, 255), height, width, antialias)
    if mask is not None:
        share = _resized(_limited(mask.double(), 1), height, width, antialias=False)
        before = _planes(original, bgr)
        codes = before + share * (codes - before)
    rounded = codes.round().to(torch.uint8)
    out.copy_((rounded.flip(1) if bgr else rounded).permute(0, 2, 3, 1))


def _planes(frame: Tensor, bgr: bool) -> Tensor:
    """uint8 [N, H, W, 3] to float64 [N, 3, H, W], red first."""
    planes = frame.permute(0, 3, 1, 2).double()
    return planes.flip(1) if bgr else planes


def _limited(values: Tensor, most: float) -> Tensor:
    """0 to `most`; not-a-number gives 0."""
    return torch.nan_to_num(values, nan=0.0, posinf=most, neginf=0.0).clamp(0, most)


def _resized(planes: Tensor, height: int, width: int, antialias: bool) -> Tensor:
    # PyTorch (seen in 2.13, on CPUs) gives wrong values for antialiased results one pixel wide and
    # several high, but not for their transposes.
    if width == 1:
        return _interpolated(planes.transpose(2, 3), width, height, antialias).transpose(2, 3)
    return _interpolated(planes, height, width, antialias)


def _interpolated(planes: Tensor, height: int, width: int, antialias: bool) -> Tensor:
    shrinks = max(planes.shape[2] / height, planes.shape[3] / width)
    too_wide = planes.is_cuda and antialias and shrinks > MOST_SHRINKING_ON_GPU
    at = planes.cpu() if too_wide else planes
    resized = functional.interpolate(
        at, (height, width), mode="bilinear", align_corners=False, antialias=antialias
    )
    return resized.to(planes.device)


def _by_channel(values: Sequence[float], like: Tensor) -> Tensor:
    return torch.tensor(values, dtype=torch.float64, device=like.device).reshape(1, 3, 1, 1)
