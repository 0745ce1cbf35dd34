"""Sizes of `upfirdn`, what it accepts, and the settings of its adjoint.

Along one axis: y[o] = gain * sum_k w[k] * x[i] over i * up = o * down + k - before, where w is f,
or f reversed for a true convolution. The padding after the last sample only sets how many o there
are.
Lists are in the order x, y (as `padding` is), sizes in the order height, width (as shapes are).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bunraku_kernels.checks import shown, tensor_given, whole_number
from bunraku_kernels.dtypes import FLOAT_TYPES
from bunraku_kernels.errors import InvalidInputError

Pair = int | Sequence[int]
MOST = 2**30  # of a factor, and of padding


def filter_size(f: Tensor) -> tuple[int, int]:
    """Taps (along y, along x); a filter [taps] is applied along both."""
    return (f.shape[0], f.shape[0]) if f.ndim == 1 else (f.shape[0], f.shape[1])


def output_size(
    x: Tensor, f: Tensor, up: Sequence[int], down: Sequence[int], padding: Sequence[int]
) -> tuple[int, int]:
    """Height and width of the result for x [N, C, H, W]."""
    taps_y, taps_x = filter_size(f)
    height = (x.shape[2] * up[1] + padding[2] + padding[3] - taps_y) // down[1] + 1
    width = (x.shape[3] * up[0] + padding[0] + padding[1] - taps_x) // down[0] + 1
    return height, width


def empty_output(
    x: Tensor, f: Tensor, up: Sequence[int], down: Sequence[int], padding: Sequence[int]
) -> Tensor:
    """Memory for the result, laid out as x (dense) is."""
    shape = (x.shape[0], x.shape[1], *output_size(x, f, up, down, padding))
    layout = torch.contiguous_format if x.is_contiguous() else torch.channels_last
    return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=layout)


def adjoint_padding(
    size: Sequence[int], y: Tensor, f: Tensor,
    up: Sequence[int], down: Sequence[int], padding: Sequence[int],
) -> list[int]:  # fmt: skip
    """The padding with which upfirdn, with up and down exchanged and the filter reversed, takes
    gradients of y to gradients of the input, which has `size` (height, width)."""
    taps_y, taps_x = filter_size(f)
    x0, _, y0, _ = padding
    return [
        taps_x - 1 - x0,
        size[1] * up[0] - y.shape[3] * down[0] + x0 - up[0] + 1,
        taps_y - 1 - y0,
        size[0] * up[1] - y.shape[2] * down[1] + y0 - up[1] + 1,
    ]


# ---- what a caller may pass ----------------------------------------------------------------------


def checked_pair(name: str, value: Pair, is_signal: bool) -> list[int]:
    """A factor for x and y; y is 1 where x is a signal."""
    pair = _whole_numbers(value)
    if len(pair) == 1 and (is_signal or not isinstance(value, Sequence)):
        pair = [pair[0], 1 if is_signal else pair[0]]
    if len(pair) != 2 or not _within(1, pair) or (is_signal and pair[1] != 1):
        wanted = "a whole number from 1" if is_signal else "whole numbers from 1, one or (x, y)"
        raise InvalidInputError(f"{name}={shown(value)}: {wanted}, to {MOST}")
    return pair


def checked_padding(value: Pair, is_signal: bool) -> list[int]:
    """(x0, x1, y0, y1); y is 0 where x is a signal."""
    count = 2 if is_signal else 4
    padding = _whole_numbers(value)
    if len(padding) == 1 and not isinstance(value, Sequence):
        padding = padding * count
    if len(padding) != count or not _within(-MOST, padding):
        wanted = "(before, after)" if is_signal else "(x0, x1, y0, y1)"
        raise InvalidInputError(
            f"padding={shown(value)}: one whole number or {wanted}, to {MOST}; negative crops"
        )
    return [*padding, 0, 0] if is_signal else padding


def _whole_numbers(value: Pair) -> list[int]:
    """One or several; none when there is anything else among them."""
    given = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    try:
        return [whole_number("", number) for number in given]
    except InvalidInputError:
        return []


def _within(least: int, numbers: list[int]) -> bool:
    return all(least <= number <= MOST for number in numbers)


def checked_filter(f: Tensor, x: Tensor) -> Tensor:
    """f as [taps] for both axes of images, or [taps along y, taps along x]."""
    if tensor_given("f", f).dtype != torch.float32 or f.device != x.device:
        raise InvalidInputError(f"f is {f.dtype} on {f.device}: float32 on {x.device} is wanted")
    if f.requires_grad:
        raise InvalidInputError(
            "f requires a gradient: upfirdn's filter is a constant; pass f.detach(), or use conv2d"
        )
    is_signal = x.ndim == 3
    if f.ndim not in ((1,) if is_signal else (1, 2)) or f.numel() == 0:
        wanted = "[taps]" if is_signal else "[taps] or [taps along y, taps along x]"
        raise InvalidInputError(f"f has the shape {list(f.shape)}: {wanted} is wanted, not empty")
    return f[None] if is_signal else f


def check_input(x: Tensor) -> None:
    """x [N, C, H, W] or [N, C, T] of a floating type."""
    if tensor_given("x", x).dtype not in FLOAT_TYPES:
        raise InvalidInputError(
            f"x is {x.dtype}: upfirdn takes float16, bfloat16, float32 and float64"
        )
    if x.ndim not in (3, 4) or 0 in x.shape[2:]:
        raise InvalidInputError(
            f"x has the shape {list(x.shape)}: [N, C, H, W] or [N, C, T] is wanted, H, W, T from 1"
        )


def check_output(
    x: Tensor, f: Tensor, up: Sequence[int], down: Sequence[int], padding: Sequence[int]
) -> None:
    height, width = output_size(x, f, up, down, padding)
    if height < 1 or width < 1:
        raise InvalidInputError(
            f"padding={list(padding)} (x0, x1, y0, y1) leaves nothing: x of "
            f"{x.shape[2]} x {x.shape[3]} times up {up[1]} x {up[0]}, with it, must cover "
            f"the filter's {' x '.join(str(taps) for taps in filter_size(f))} taps; pad more"
        )
    for axis, before in ((0, 2), (1, 0)):
        # The first sample is followed by zeros, the last one too.
        last, end = (x.shape[2 + axis] - 1) * up[1 - axis], x.shape[2 + axis] * up[1 - axis]
        if -padding[before] > last or -padding[before + 1] >= end:
            raise InvalidInputError(
                f"padding={list(padding)} (x0, x1, y0, y1) crops all of x: along {'yx'[axis]} it "
                f"may take {last} at the beginning and {end - 1} at the end; crop less"
            )
