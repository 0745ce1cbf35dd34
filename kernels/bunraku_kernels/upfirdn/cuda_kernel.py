"""Addresses and sizes for upfirdn.cu."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from bunraku_kernels.activations import ACTIVATIONS
from bunraku_kernels.backends import address, cuda_module, cuda_stream
from bunraku_kernels.dtypes import KERNEL_TYPES
from bunraku_kernels.upfirdn.geometry import empty_output, filter_size
from bunraku_kernels.upfirdn.passes import passes


def _launch(
    order: int, x: Tensor, f: Tensor, b: Tensor | None, dy: Tensor | None, ddx: Tensor | None,
    up: Sequence[int], down: Sequence[int], padding: Sequence[int], flip: bool, scale: float,
    act: str = "linear", alpha: float = 0.0, gain: float = 1.0, clamp: float = -1.0,
) -> Tensor:  # fmt: skip
    out = empty_output(x, f, up, down, padding)
    cuda_module().upfirdn(
        address(x), address(f), address(b), address(dy), address(ddx), address(out),
        x.shape[0], x.shape[1], (x.shape[3], x.shape[2]), (out.shape[3], out.shape[2]),
        tuple(up), tuple(down), (padding[0], padding[2]), filter_size(f)[::-1],
        f.ndim == 1, flip, not x.is_contiguous(), scale,
        order, ACTIVATIONS[act].code, alpha, gain, clamp,
        KERNEL_TYPES.index(x.dtype), cuda_stream(x),
    )  # fmt: skip
    return out


forward, fused, fused_grad, fused_grad_of_grad = passes(_launch)
