"""Memory layouts: the two that pointwise kernels take without a copy."""

from __future__ import annotations

import torch
from torch import Tensor


def laid_out_densely(x: Tensor) -> Tensor:
    """x itself when contiguous or channels-last, else a contiguous copy."""
    if x.is_contiguous() or _is_channels_last(x):
        return x
    return x.contiguous()


def laid_out_like(y: Tensor, x: Tensor) -> Tensor:
    """y with the strides of x, which is dense; both have one shape."""
    if _is_channels_last(x) and not x.is_contiguous():
        return y.contiguous(memory_format=torch.channels_last)
    return y.contiguous()


def _is_channels_last(x: Tensor) -> bool:
    return x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last)
