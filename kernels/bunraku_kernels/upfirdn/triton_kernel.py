"""One program for each tile of the result: of one plane, or of one row of channels-last pixels.

Only the taps that meet a sample are visited. With up 2 the even and the odd columns are computed
apart, so that a tap's weight is the same in all columns, and interleaved before they are stored.
Neighbouring results read a sample again from the first-level cache, not from memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import triton
import triton.language as tl
from torch import Tensor

from bunraku_kernels.activations import ACTIVATIONS
from bunraku_kernels.aot import CompiledAhead
from bunraku_kernels.triton_math import activated
from bunraku_kernels.upfirdn.geometry import empty_output, filter_size
from bunraku_kernels.upfirdn.passes import PLAIN, passes

UNROLLED_TAPS = 16


@triton.jit
def first_tap(start, UP: tl.constexpr):
    """Of the first sample at or after the upsampled position `start` (not negative): its index, and
    the tap that meets it."""
    i = (start + UP - 1) // UP
    return i, i * UP - start


@triton.jit
def weight_of(f_ptr, ky, kx, FH: tl.constexpr, FW: tl.constexpr, SEPARABLE: tl.constexpr,
              FLIP: tl.constexpr):  # fmt: skip
    has_y, has_x = ky < FH, kx < FW
    if not FLIP:
        ky = FH - 1 - ky
        kx = FW - 1 - kx
    if SEPARABLE:
        return tl.load(f_ptr + ky, has_y, 0.0) * tl.load(f_ptr + kx, has_x, 0.0)
    else:
        return tl.load(f_ptr + ky * FW + kx, has_y & has_x, 0.0)


@triton.jit
def filtered(
    x_ptr, f_ptr, iy, ky, ix, kx, row_stride, column_stride, height, width, offset, inside,
    UX: tl.constexpr, UY: tl.constexpr, FH: tl.constexpr, FW: tl.constexpr,
    SEPARABLE: tl.constexpr, FLIP: tl.constexpr, UNROLL: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """[ROWS, COLUMNS] sums; iy, ix (first samples) and ky, kx (their taps) broadcast to that."""
    total = tl.zeros((ROWS, COLUMNS), tl.float32)
    if UNROLL:
        for jy in tl.static_range((FH + UY - 1) // UY):
            for jx in tl.static_range((FW + UX - 1) // UX):
                y, x = iy + jy, ix + jx
                held = inside & (y >= 0) & (y < height) & (x >= 0) & (x < width)
                w = weight_of(f_ptr, ky + jy * UY, kx + jx * UX, FH, FW, SEPARABLE, FLIP)
                at = x_ptr + y * row_stride + x * column_stride + offset
                total += w * tl.load(at, held, 0.0).to(tl.float32)
    else:
        for j in range(((FH + UY - 1) // UY) * ((FW + UX - 1) // UX)):
            jy = j // ((FW + UX - 1) // UX)
            jx = j % ((FW + UX - 1) // UX)
            y, x = iy + jy, ix + jx
            held = inside & (y >= 0) & (y < height) & (x >= 0) & (x < width)
            w = weight_of(f_ptr, ky + jy * UY, kx + jx * UX, FH, FW, SEPARABLE, FLIP)
            at = x_ptr + y * row_stride + x * column_stride + offset
            total += w * tl.load(at, held, 0.0).to(tl.float32)
    return total


@triton.jit
def finished(u, b_ptr, channel, dy_ptr, ddx_ptr, at, inside, alpha, gain, clamp,
             ORDER: tl.constexpr, CODE: tl.constexpr, HAS_BIAS: tl.constexpr):  # fmt: skip
    """bias_act of u, or its derivatives times dy and ddx."""
    if ORDER < 0:
        return u
    else:
        if HAS_BIAS:
            u += tl.load(b_ptr + channel).to(tl.float32)
        dy = tl.load(dy_ptr + at, inside, 0.0).to(tl.float32) if ORDER >= 1 else 0.0
        ddx = tl.load(ddx_ptr + at, inside, 0.0).to(tl.float32) if ORDER == 2 else 0.0
        return activated(u, dy, ddx, alpha, gain, clamp, ORDER, CODE)


@triton.jit
def upfirdn_planes(
    x_ptr, f_ptr, b_ptr, dy_ptr, ddx_ptr, out_ptr,
    channels, height, width, out_height, out_width, px, py, lift_x, lift_y,
    scale, alpha, gain, clamp,
    UX: tl.constexpr, UY: tl.constexpr, DX: tl.constexpr, DY: tl.constexpr,
    FH: tl.constexpr, FW: tl.constexpr, SEPARABLE: tl.constexpr, FLIP: tl.constexpr,
    UNROLL: tl.constexpr, ORDER: tl.constexpr, CODE: tl.constexpr, HAS_BIAS: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Contiguous images. lift_x * UX, added to positions, keeps the dividends positive."""
    tiles_x = tl.cdiv(out_width, COLUMNS)
    tiles = tiles_x * tl.cdiv(out_height, ROWS)
    plane = (tl.program_id(0) // tiles).to(tl.int64)
    tile = tl.program_id(0) % tiles
    x_ptr += plane * height * width
    oy = (tile // tiles_x) * ROWS + tl.arange(0, ROWS)[:, None]
    iy, ky = first_tap(oy * DY - py + lift_y * UY, UY)
    if UX == 2:
        half = (tile % tiles_x) * (COLUMNS // 2) + tl.arange(0, COLUMNS // 2)[None, :]
        ix, kx = first_tap(lift_x * UX - px, UX)
        even = filtered(
            x_ptr, f_ptr, iy - lift_y, ky, half * DX + ix - lift_x, kx, width, 1, height, width, 0,
            (oy < out_height) & (2 * half < out_width),
            UX, UY, FH, FW, SEPARABLE, FLIP, UNROLL, ROWS, COLUMNS // 2,
        )  # fmt: skip
        ix, kx = first_tap(lift_x * UX - px + DX, UX)
        odd = filtered(
            x_ptr, f_ptr, iy - lift_y, ky, half * DX + ix - lift_x, kx, width, 1, height, width, 0,
            (oy < out_height) & (2 * half + 1 < out_width),
            UX, UY, FH, FW, SEPARABLE, FLIP, UNROLL, ROWS, COLUMNS // 2,
        )  # fmt: skip
        u = tl.interleave(even, odd)
        ox = (tile % tiles_x) * COLUMNS + tl.arange(0, COLUMNS)[None, :]
    else:
        ox = (tile % tiles_x) * COLUMNS + tl.arange(0, COLUMNS)[None, :]
        ix, kx = first_tap(ox * DX - px + lift_x * UX, UX)
        if UX == 1:
            kx = 0  # for all columns: the weight is then one value a row
        u = filtered(
            x_ptr, f_ptr, iy - lift_y, ky, ix - lift_x, kx, width, 1, height, width, 0,
            (oy < out_height) & (ox < out_width),
            UX, UY, FH, FW, SEPARABLE, FLIP, UNROLL, ROWS, COLUMNS,
        )  # fmt: skip
    inside = (oy < out_height) & (ox < out_width)
    at = plane * out_height * out_width + oy * out_width + ox
    y = finished(u * scale, b_ptr, plane % channels, dy_ptr, ddx_ptr, at, inside,
                  alpha, gain, clamp, ORDER, CODE, HAS_BIAS)  # fmt: skip
    tl.store(out_ptr + at, y.to(out_ptr.dtype.element_ty), inside)


@triton.jit
def upfirdn_pixels(
    x_ptr, f_ptr, b_ptr, dy_ptr, ddx_ptr, out_ptr,
    channels, height, width, out_height, out_width, px, py, lift_x, lift_y,
    scale, alpha, gain, clamp,
    UX: tl.constexpr, UY: tl.constexpr, DX: tl.constexpr, DY: tl.constexpr,
    FH: tl.constexpr, FW: tl.constexpr, SEPARABLE: tl.constexpr, FLIP: tl.constexpr,
    UNROLL: tl.constexpr, ORDER: tl.constexpr, CODE: tl.constexpr, HAS_BIAS: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Channels-last images: ROWS pixels of one row of the result by COLUMNS channels."""
    tiles_c = tl.cdiv(channels, COLUMNS)
    tiles_x = tl.cdiv(out_width, ROWS)
    c = (tl.program_id(0) % tiles_c) * COLUMNS + tl.arange(0, COLUMNS)[None, :]
    ox = (tl.program_id(0) // tiles_c % tiles_x) * ROWS + tl.arange(0, ROWS)[:, None]
    row = tl.program_id(0) // (tiles_c * tiles_x)
    image = (row // out_height).to(tl.int64)
    iy, ky = first_tap((row % out_height) * DY - py + lift_y * UY, UY)
    ix, kx = first_tap(ox * DX - px + lift_x * UX, UX)
    inside = (ox < out_width) & (c < channels)
    u = filtered(
        x_ptr + image * height * width * channels, f_ptr, iy - lift_y, ky, ix - lift_x, kx,
        width * channels, channels, height, width, c, inside,
        UX, UY, FH, FW, SEPARABLE, FLIP, UNROLL, ROWS, COLUMNS,
    )  # fmt: skip
    at = (row.to(tl.int64) * out_width + ox) * channels + c
    # Beyond the last channel any bias will do: nothing is stored there.
    y = finished(u * scale, b_ptr, c % channels, dy_ptr, ddx_ptr, at, inside,
                  alpha, gain, clamp, ORDER, CODE, HAS_BIAS)  # fmt: skip
    tl.store(out_ptr + at, y.to(out_ptr.dtype.element_ty), inside)


# ---- the passes ----------------------------------------------------------------------------------


def _launch(
    order: int, x: Tensor, f: Tensor, b: Tensor | None, dy: Tensor | None, ddx: Tensor | None,
    up: Sequence[int], down: Sequence[int], padding: Sequence[int], flip: bool, scale: float,
    act: str = "linear", alpha: float = 0.0, gain: float = 1.0, clamp: float = -1.0,
) -> Tensor:  # fmt: skip
    out = empty_output(x, f, up, down, padding)
    if out.numel() == 0:
        return out
    n, channels, height, width = x.shape
    out_height, out_width = out.shape[2:]
    taps_y, taps_x = filter_size(f)
    in_planes = x.is_contiguous()
    if in_planes:
        rows, columns = _tile(out_height, out_width)
        programs = n * channels * triton.cdiv(out_height, rows) * triton.cdiv(out_width, columns)
    else:
        rows, columns = _tile(out_width, channels)
        programs = n * out_height * triton.cdiv(out_width, rows) * triton.cdiv(channels, columns)
    kernel = upfirdn_planes if in_planes else upfirdn_pixels
    kernel[(programs,)](
        x, f, None if b is None else b.contiguous(), dy, ddx, out,
        channels, height, width, out_height, out_width, padding[0], padding[2],
        max(0, -(-padding[0] // up[0])), max(0, -(-padding[2] // up[1])),
        scale, alpha, gain, clamp,
        UX=up[0], UY=up[1], DX=down[0], DY=down[1], FH=taps_y, FW=taps_x, SEPARABLE=f.ndim == 1,
        FLIP=flip, UNROLL=_visited(taps_y, up[1]) * _visited(taps_x, up[0]) <= UNROLLED_TAPS,
        ORDER=order, CODE=ACTIVATIONS[act].code, HAS_BIAS=b is not None, ROWS=rows, COLUMNS=columns,
    )  # fmt: skip
    return out


forward, fused, fused_grad, fused_grad_of_grad = passes(_launch)


def _visited(taps: int, up: int) -> int:
    return -(-taps // up)


def _tile(rows: int, columns: int) -> tuple[int, int]:
    """About 1024 results, wide first: a row is read and written in one stretch."""
    wide = max(2, min(128, triton.next_power_of_2(columns)))
    return max(1, min(1024 // wide, triton.next_power_of_2(rows))), wide


def ahead_of_time() -> list[CompiledAhead]:
    """What is compiled without a GPU in the tests: typical samplings and a long filter, each order,
    with what Triton makes constants of (sizes of 1, tensors that are not given)."""
    ones = {name: 1 for name in ("UX", "UY", "DX", "DY")}
    four = {**ones, "FH": 4, "FW": 4, "UNROLL": True, "SEPARABLE": True, "HAS_BIAS": True}
    alone = {**four, "HAS_BIAS": False, "b_ptr": None, "dy_ptr": None, "ddx_ptr": None}
    long = {**ones, "UX": 3, "UY": 3, "FH": 25, "FW": 25, "UNROLL": False, "SEPARABLE": False}
    padded = dict.fromkeys(("px", "py", "lift_x", "lift_y"), 1)
    return [
        CompiledAhead(kernel, _signature(t, sampling), {**sampling, "FLIP": False, "ORDER": order,
                      "CODE": ACTIVATIONS["silu"].code, "ROWS": 8, "COLUMNS": 128})
        for kernel in (upfirdn_planes, upfirdn_pixels)
        for t, sampling, order in (
            ("fp16", {**four, "UX": 2, "UY": 2}, 0),
            ("fp32", {**four, **padded, "DX": 2, "DY": 2}, 1),
            ("bf16", {**alone, **padded, "UX": 2, "height": 1, "out_height": 1}, PLAIN),
            ("fp32", {**long, "HAS_BIAS": True}, 2),
        )
    ]  # fmt: skip


def _signature(element: str, constants: dict[str, Any]) -> dict[str, str]:
    types = {
        **dict.fromkeys(("x_ptr", "b_ptr", "dy_ptr", "ddx_ptr", "out_ptr"), f"*{element}"),
        "f_ptr": "*fp32",
        **dict.fromkeys(("channels", "height", "width", "out_height", "out_width"), "i32"),
        **dict.fromkeys(("px", "py", "lift_x", "lift_y"), "i32"),
        **dict.fromkeys(("scale", "alpha", "gain", "clamp"), "fp32"),
    }
    return {name: kind for name, kind in types.items() if name not in constants}
