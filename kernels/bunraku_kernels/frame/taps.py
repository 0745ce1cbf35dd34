"""The weights of a separable resize by a triangle filter, exact up to one rounding.

Pixel j of the input lies |(2i + 1) in - (2j + 1) out| / (2 out) pixels from output i. Measured in
units of 1 / (2 out) these distances are integers, and so are the triangle's heights over them: a
weight is one integer over the sum of the window's, whatever the sizes.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Taps:
    """Output i is the sum over k of weights[i, k] * input[first[i] + k]; all k are inside.

    first: int32 [out], never decreasing. weights: float32 [out, count]; by_tap: its transpose.
    """

    first: Tensor
    weights: Tensor
    by_tap: Tensor

    @property
    def count(self) -> int:
        return self.weights.shape[1]


@functools.lru_cache(maxsize=256)
def taps(size_in: int, size_out: int, antialias: bool) -> Taps:
    """antialias: the triangle widens with the scale when shrinking; else it is one pixel wide to
    each side. Half-pixel centres, renormalised at the edges, as in F.interpolate."""
    half_width = 2 * (max(size_in, size_out) if antialias else size_out)
    centre = (2 * np.arange(size_out, dtype=np.int64) + 1) * size_in
    # The first and last j with |centre - (2j + 1) out| < half_width, inside the input.
    low = np.maximum(((centre - half_width) // size_out + 1) // 2, 0)
    high = np.minimum(-((-(centre + half_width)) // size_out) // 2 - 1, size_in - 1)
    count = int((high - low).max()) + 1
    first = np.minimum(low, size_in - count)
    pixel = first[:, None] + np.arange(count)
    height = half_width - np.abs(centre[:, None] - (2 * pixel + 1) * size_out)
    height = np.maximum(height, 0)
    weights = torch.from_numpy((height / height.sum(1, keepdims=True)).astype(np.float32))
    return Taps(torch.from_numpy(first.astype(np.int32)), weights, weights.t().contiguous())
