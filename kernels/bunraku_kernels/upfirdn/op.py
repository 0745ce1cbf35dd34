"""`upfirdn`: insert zeros, pad or crop, filter, keep every few samples, in one pass.

The resampling of GAN generators (Karras et al., "Analyzing and Improving the Image Quality of
StyleGAN", 2020, after Zhang, 2019) and of multirate filter banks. It is linear: its gradient is
upfirdn with up and down exchanged and the filter reversed, so every order of derivative is itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from bunraku_kernels.checks import flag, number
from bunraku_kernels.dtypes import refuses_float64
from bunraku_kernels.layout import laid_out_densely
from bunraku_kernels.registration import registered
from bunraku_kernels.registry import Implementation, Operator
from bunraku_kernels.upfirdn import geometry
from bunraku_kernels.upfirdn.geometry import Pair

MOST_TAPS = 32  # along an axis, for the kernels
MOST_FACTOR = 4096
MOST_SAMPLES = 2**30  # of an upsampled axis, so that 32 bits hold every position


def _refuses(x: Tensor, f: Tensor, *others: Any) -> str | None:
    tensors = [t for t in others if isinstance(t, Tensor)]
    up, down, padding = [s for s in others if isinstance(s, Sequence) and not isinstance(s, str)][
        :3
    ]
    taps = max(geometry.filter_size(f))
    if taps > MOST_TAPS:
        return f"a filter of {taps} taps along an axis is for the reference; it takes {MOST_TAPS}"
    if max(*up, *down) > MOST_FACTOR:
        return f"up {up}, down {down}: it takes factors to {MOST_FACTOR}; others the reference"
    longest = max(x.shape[2] * up[1], x.shape[3] * up[0]) + sum(abs(p) for p in padding)
    height, width = geometry.output_size(x, f, up, down, padding)
    if longest > MOST_SAMPLES or x.shape[1] * max(x.shape[2] * x.shape[3], height * width) >= 2**31:
        return "the image is too large for 32-bit positions; crop it, or use the reference"
    return refuses_float64(x, *tensors)


OPERATOR = Operator(
    __package__,
    (
        Implementation("cuda", "cuda_kernel", _refuses),
        Implementation("triton", "triton_kernel", _refuses),
        Implementation("reference", "reference"),
    ),
)


def upfirdn(
    x: Tensor,
    f: Tensor,
    *,
    up: Pair = 1,
    down: Pair = 1,
    padding: Pair = 0,
    flip_filter: bool = False,
    gain: float = 1.0,
    impl: str = "auto",
) -> Tensor:
    """Upsample x by zeros, pad, filter with f, times gain, and keep every `down`-th sample.

    x: [N, C, H, W] images or [N, C, T] signals, float16, bfloat16, float32, or float64 (reference
    only); contiguous and channels-last are taken as they are, others are copied. f: float32, [taps]
    (for images applied along both axes) or [taps along y, taps along x]; a constant: gradients are
    with respect to x alone. up, down: factor from 1, or (x, y). padding, in samples after
    upsampling: one number, (x0, x1, y0, y1) for images, (before, after) for signals; negative
    crops, but from neither side all of x. flip_filter: False convolves, True correlates. The
    kernels take up to 32 taps along an axis.

    Returns [N, C, OH, OW] or [N, C, OT] of x's type and layout, where
    OH = floor((H * up_y + y0 + y1 - taps_y) / down_y) + 1. Raises InvalidInputError, and
    ImplementationUnavailableError for an `impl` that does not work here.
    """
    OPERATOR.check(impl)
    planes, f, sampling = prepared(x, f, up, down, padding)
    filtering = (flag("flip_filter", flip_filter), number("gain", gain))
    y: Tensor = torch.ops.bunraku.upfirdn(planes, f, *sampling, *filtering, impl)
    return y if x.ndim == 4 else y.squeeze(2)


def prepared(
    x: Tensor, f: Tensor, up: Pair, down: Pair, padding: Pair
) -> tuple[Tensor, Tensor, tuple[list[int], list[int], list[int]]]:
    """x as dense images, f, and (up, down, padding) as lists; raises unless all of it is sound."""
    geometry.check_input(x)
    is_signal = x.ndim == 3
    f = geometry.checked_filter(f, x).contiguous()
    sampling = (
        geometry.checked_pair("up", up, is_signal),
        geometry.checked_pair("down", down, is_signal),
        geometry.checked_padding(padding, is_signal),
    )
    planes = laid_out_densely(x.unsqueeze(2) if is_signal else x)
    geometry.check_output(planes, f, *sampling)
    return planes, f, sampling


@registered("upfirdn", layouts={"x": laid_out_densely})
def _forward(
    x: Tensor, f: Tensor, up: Sequence[int], down: Sequence[int], padding: Sequence[int],
    flip: bool, gain: float, impl: str,
) -> Tensor:  # fmt: skip
    run: Tensor = OPERATOR.run(impl, "forward", x, f, up, down, padding, flip, gain)
    return run


@_forward.register_fake
def _(
    x: Tensor, f: Tensor, up: Sequence[int], down: Sequence[int], padding: Sequence[int], *_: Any
) -> Tensor:
    return geometry.empty_output(x, f, up, down, padding)


def adjoint(
    dy: Tensor, f: Tensor, size: Sequence[int],
    up: Sequence[int], down: Sequence[int], padding: Sequence[int],
    flip: bool, gain: float, impl: str,
) -> Tensor:  # fmt: skip
    """The gradient of an input of `size` (height, width), given that of the result."""
    opposite = geometry.adjoint_padding(size, dy, f, up, down, padding)
    dx: Tensor = torch.ops.bunraku.upfirdn(dy, f, down, up, opposite, not flip, gain, impl)
    return dx


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, f, *ctx.settings = inputs
    ctx.size = x.shape[2:]
    ctx.save_for_backward(f)


def _backward(ctx: Any, dy: Tensor) -> tuple[Any, ...]:
    (f,) = ctx.saved_tensors
    return adjoint(dy, f, ctx.size, *ctx.settings), None, *(None for _ in ctx.settings)


_forward.register_autograd(_backward, setup_context=_keep)
