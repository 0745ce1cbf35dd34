"""Sums over batch and time of products of two signals, by the vendor's matrix product."""

from __future__ import annotations

import torch
from torch import Tensor

from bunraku_kernels.dtypes import HALF_TYPES
from bunraku_kernels.precision import exact_float32

PIECE_FRAMES = 1024


def product_over_time(a: Tensor, b: Tensor, before: Tensor | None, delay: int) -> Tensor:
    """[M, N], of a's type: sum over batch and t of a[:, m, t] b[:, n, t - delay].

    a: [B, M, T], b: [B, N, T], contiguous. before: [B, N, at least delay], what came before b; None
    is zeros. Accumulated in float32 (float64 for float64) whatever torch allows of TF32.
    """
    frames = a.shape[2]
    with exact_float32():
        total = _summed(a[:, :, delay:], b[:, :, : max(frames - delay, 0)])
        if before is not None and delay > 0:
            reached = min(delay, frames)
            first = before.shape[2] - delay
            total += _summed(a[:, :, :reached], before[:, :, first : first + reached])
    return total.to(a.dtype)


def _summed(a: Tensor, b: Tensor) -> Tensor:
    """The sum over items, in their order. A single item is cut into pieces, which then are the
    items: [128, 64] is one tile of the library's kernel, and would keep one multiprocessor busy."""
    frames = a.shape[2]
    if a.shape[0] == 1 and frames >= 2 * PIECE_FRAMES:
        pieces = frames // PIECE_FRAMES
        whole = pieces * PIECE_FRAMES
        rest = _product(a[:, :, whole:], b[:, :, whole:])
        return (
            _product(_cut(a[0, :, :whole], pieces), _cut(b[0, :, :whole], pieces)).sum(0) + rest[0]
        )
    return _product(a, b).sum(0)


def _cut(signal: Tensor, pieces: int) -> Tensor:
    """[N, T] as [pieces, N, T / pieces], without a copy."""
    rows, frames = signal.shape
    return signal.view(rows, pieces, frames // pieces).transpose(0, 1)


def _product(a: Tensor, b: Tensor) -> Tensor:
    """a times b transposed, for each of the batch, not rounded to a half type."""
    if a.dtype not in HALF_TYPES:
        return torch.bmm(a, b.transpose(1, 2))
    if a.device.type == "cuda" and a.numel() > 0 and b.numel() > 0:  # out_dtype wants elements
        return torch.bmm(a, b.transpose(1, 2), out_dtype=torch.float32)
    return torch.bmm(a.float(), b.float().transpose(1, 2))
