"""An implicit matrix product: rows are output pixels of one phase, columns are output channels, and
the sum runs over taps and input channels. Nothing is gathered in memory beforehand."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from bunraku_kernels.activations import ACTIVATIONS
from bunraku_kernels.aot import CompiledAhead
from bunraku_kernels.backends import is_simulated
from bunraku_kernels.triton_math import (
    activation_value,
    clamped,
)
from bunraku_kernels.upsample_conv.gradients import memory_format_of
from bunraku_kernels.upsample_conv.reference import NORM_EPS

ELEMENTS = 1024  # of a program of the normalisation
PARTS = 128  # partial statistics taken at a time


@triton.jit
def phase_conv_kernel(
    x_ptr, w_ptr, style_ptr, demod_ptr, bias_ptr, y_ptr, part_ptr,
    height, width, in_channels, out_channels, out_height, out_width,
    x_n, x_c, x_h, x_w, y_n, y_c, y_h, y_w, crop_h, crop_w, rows, columns, parts,
    pre_alpha, alpha, gain, clamp,
    UP_H: tl.constexpr, UP_W: tl.constexpr, TAPS_H: tl.constexpr, TAPS_W: tl.constexpr,
    PRE: tl.constexpr, ACT: tl.constexpr,
    HAS_STYLE: tl.constexpr, HAS_DEMOD: tl.constexpr, HAS_BIAS: tl.constexpr, STATS: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
    INTERPRETED: tl.constexpr,
):  # fmt: skip
    """Programs: (part + parts * sample, channel tile), where part = phase + phases * pixel tile.
    Phases lie side by side in memory, so those that write to the same lines run together."""
    own_part = tl.program_id(0) % parts
    sample = (tl.program_id(0) // parts).to(tl.int64)
    phase = own_part % (UP_H * UP_W)
    tile = own_part // (UP_H * UP_W)
    phase_h = phase // UP_W
    phase_w = phase % UP_W
    m = tile * BLOCK_M + tl.arange(0, BLOCK_M)
    o = tl.program_id(1) * BLOCK_N + tl.arange(0, BLOCK_N)
    top = m // columns + (phase_h + crop_h) // UP_H - (TAPS_H - 1)
    left = m % columns + (phase_w + crop_w) // UP_W - (TAPS_W - 1)
    k = tl.arange(0, BLOCK_K)
    steps = tl.cdiv(in_channels, BLOCK_K)
    acc = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for step in range(TAPS_H * TAPS_W * steps):
        tap = step // steps
        i = (step % steps) * BLOCK_K + k
        h = top + tap // TAPS_W
        w = left + tap % TAPS_W
        there = (m < rows * columns) & (h >= 0) & (h < height) & (w >= 0) & (w < width)
        pixel = sample * x_n + h.to(tl.int64) * x_h + w.to(tl.int64) * x_w
        inside = there[:, None] & (i < in_channels)[None, :]
        x = tl.load(x_ptr + pixel[:, None] + i.to(tl.int64)[None, :] * x_c, inside, 0.0)
        if PRE != 0 or HAS_STYLE:
            value = activation_value(x.to(tl.float32), pre_alpha, PRE)
            if HAS_STYLE:
                style = tl.load(style_ptr + sample * in_channels + i, i < in_channels, 0.0)
                value = value * style[None, :]
            x = tl.where(inside, value, 0.0).to(x_ptr.dtype.element_ty)
        row = ((phase * TAPS_H * TAPS_W + tap).to(tl.int64) * out_channels + o) * in_channels
        held = (i < in_channels)[:, None] & (o < out_channels)[None, :]
        weight = tl.load(w_ptr + row[None, :] + i[:, None], held, 0.0)
        if INTERPRETED:
            x = x.to(tl.float32)
            weight = weight.to(tl.float32)
        acc = tl.dot(x, weight, acc, input_precision="ieee")

    if HAS_DEMOD:
        demod = tl.load(demod_ptr + sample * out_channels + o, o < out_channels, 0.0)
        acc = acc * demod[None, :]
    if HAS_BIAS:
        bias = tl.load(bias_ptr + o, o < out_channels, 0.0)
        acc = acc + bias.to(tl.float32)[None, :]
    y_row = (m // columns) * UP_H + phase_h
    y_column = (m % columns) * UP_W + phase_w
    real = (m < rows * columns) & (y_row < out_height) & (y_column < out_width)
    kept = real[:, None] & (o < out_channels)[None, :]
    if STATS:
        count = tl.sum(real.to(tl.float32), 0)
        total = tl.sum(tl.where(kept, acc, 0.0), 0)
        centred = acc - (total / tl.maximum(count, 1.0))[None, :]
        spread = tl.sum(tl.where(kept, centred * centred, 0.0), 0)
        part = ((sample * out_channels + o) * parts + own_part) * 3
        tl.store(part_ptr + part, total * 0 + count, o < out_channels)
        tl.store(part_ptr + part + 1, total, o < out_channels)
        tl.store(part_ptr + part + 2, spread, o < out_channels)
    y = gain * activation_value(acc, alpha, ACT)
    y = clamped(y, clamp)
    at = sample * y_n + y_row.to(tl.int64) * y_h + y_column.to(tl.int64) * y_w
    target = y_ptr + at[:, None] + o.to(tl.int64)[None, :] * y_c
    tl.store(target, y.to(y_ptr.dtype.element_ty), kept)


@triton.jit
def statistics_kernel(part_ptr, stats_ptr, parts, pixels, eps, PARTS: tl.constexpr):
    """One program a picture's channel: mean and 1 / deviation from the tiles' counts, sums and
    centred sums of squares (Chan et al., 1979), which no large mean spoils."""
    row = tl.program_id(0).to(tl.int64)
    at = tl.arange(0, PARTS)
    totals = tl.zeros((PARTS,), tl.float32)
    for first in range(0, parts, PARTS):
        part = part_ptr + (row * parts + first + at) * 3
        totals += tl.load(part + 1, first + at < parts, 0.0)
    mean = tl.sum(totals, 0) / pixels
    spreads = tl.zeros((PARTS,), tl.float32)
    for first in range(0, parts, PARTS):
        part = part_ptr + (row * parts + first + at) * 3
        count = tl.load(part, first + at < parts, 0.0)
        total = tl.load(part + 1, first + at < parts, 0.0)
        away = total / tl.maximum(count, 1.0) - mean
        spreads += tl.load(part + 2, first + at < parts, 0.0) + count * away * away
    tl.store(stats_ptr + row * 2, mean)
    tl.store(stats_ptr + row * 2 + 1, 1 / tl.sqrt(tl.sum(spreads, 0) / pixels + eps))


@triton.jit
def normalize_kernel(
    u_ptr, stats_ptr, y_ptr, count, channels, pixels, alpha, gain, clamp,
    ACT: tl.constexpr, LAST: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    e = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = e < count
    row = e // (pixels * channels) * channels + e % channels if LAST else e // pixels
    mean = tl.load(stats_ptr + row * 2, inside, 0.0)
    scale = tl.load(stats_ptr + row * 2 + 1, inside, 0.0)
    v = (tl.load(u_ptr + e, inside, 0.0).to(tl.float32) - mean) * scale
    y = gain * activation_value(v, alpha, ACT)
    y = clamped(y, clamp)
    tl.store(y_ptr + e, y.to(y_ptr.dtype.element_ty), inside)


def forward(
    x: Tensor, weights: Tensor, style: Tensor | None, demod: Tensor | None, bias: Tensor | None,
    up: Sequence[int], crop: Sequence[int], size: Sequence[int],
    pre: str, pre_alpha: float, act: str, alpha: float, gain: float, clamp: float, stats: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    phases, taps_h, taps_w, out_channels, in_channels = weights.shape
    batch, height, width = x.shape[0], x.shape[2], x.shape[3]
    y = torch.empty(
        (batch, out_channels, *size), dtype=x.dtype, device=x.device,
        memory_format=memory_format_of(x),
    )  # fmt: skip
    rows, columns = -(-size[0] // up[0]), -(-size[1] // up[1])
    blocks = _blocks(rows * columns, out_channels, in_channels, x.dtype)
    parts = phases * triton.cdiv(rows * columns, blocks[0])
    shape = (batch, out_channels, parts, 3) if stats else (0,)
    partial = torch.empty(shape, dtype=torch.float32, device=x.device)
    if y.numel() > 0:
        phase_conv_kernel[(parts * batch, triton.cdiv(out_channels, blocks[1]))](
            x, weights.contiguous(), _dense(style), _dense(demod), _dense(bias), y, partial,
            height, width, in_channels, out_channels, *size, *x.stride(), *y.stride(),
            *crop, rows, columns, parts, pre_alpha, alpha, gain, clamp,
            UP_H=up[0], UP_W=up[1], TAPS_H=taps_h, TAPS_W=taps_w,
            PRE=ACTIVATIONS[pre].code, ACT=ACTIVATIONS[act].code, HAS_STYLE=style is not None,
            HAS_DEMOD=demod is not None, HAS_BIAS=bias is not None, STATS=stats,
            BLOCK_M=blocks[0], BLOCK_N=blocks[1], BLOCK_K=blocks[2],
            INTERPRETED=is_simulated("triton"), num_warps=_warps(blocks),
        )  # fmt: skip
    return y, _combined(partial, size[0] * size[1]) if stats else partial


def normalize(
    u: Tensor, stats: Tensor, act: str, alpha: float, gain: float, clamp: float
) -> Tensor:
    y = torch.empty_like(u)
    count = u.numel()
    if count > 0:
        normalize_kernel[(triton.cdiv(count, ELEMENTS),)](
            u, stats, y, count, u.shape[1], u.shape[2] * u.shape[3], alpha, gain, clamp,
            ACT=ACTIVATIONS[act].code, LAST=not u.is_contiguous(), BLOCK=ELEMENTS,
        )  # fmt: skip
    return y


def _combined(partial: Tensor, pixels: int) -> Tensor:
    batch, channels, parts, _ = partial.shape
    stats = partial.new_empty(batch, channels, 2)
    if stats.numel() > 0:
        statistics_kernel[(batch * channels,)](partial, stats, parts, pixels, NORM_EPS, PARTS=PARTS)
    return stats


def _blocks(
    pixels: int, out_channels: int, in_channels: int, dtype: torch.dtype
) -> tuple[int, ...]:
    """Pixels, output channels and input channels of one step: as large as the sizes fill, up to
    what registers hold of each type."""
    wide = dtype == torch.float32
    largest = (64, 64, 16) if wide else (128, 128, 32)
    sizes = (pixels, out_channels, in_channels)
    return tuple(
        max(16, min(most, triton.next_power_of_2(size)))
        for most, size in zip(largest, sizes, strict=True)
    )


def _warps(blocks: tuple[int, ...]) -> int:
    return 8 if blocks[0] * blocks[1] > 64 * 64 else 4


def _dense(value: Tensor | None) -> Tensor | None:
    return None if value is None else value.contiguous()


def ahead_of_time() -> list[CompiledAhead]:
    """The convolution with everything in it, in each type, and the normalisation's kernels."""
    return [*map(_convolution_ahead, ("fp32", "fp16", "bf16")), *_normalisation_ahead()]


def _convolution_ahead(element: str) -> CompiledAhead:
    dtype = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[element]
    names = phase_conv_kernel.arg_names
    signature = {name: "i32" for name in names if name.islower()}
    signature |= {name: "fp32" for name in ("pre_alpha", "alpha", "gain", "clamp")}
    signature |= {name: f"*{element}" for name in ("x_ptr", "w_ptr", "bias_ptr", "y_ptr")}
    signature |= {name: "*fp32" for name in ("style_ptr", "demod_ptr", "part_ptr")}
    blocks = _blocks(1024, 512, 512, dtype)
    constants = {
        "UP_H": 2, "UP_W": 2, "TAPS_H": 2, "TAPS_W": 2, "PRE": ACTIVATIONS["lrelu"].code,
        "ACT": ACTIVATIONS["silu"].code, "HAS_STYLE": True, "HAS_DEMOD": True, "HAS_BIAS": True,
        "STATS": True, "BLOCK_M": blocks[0], "BLOCK_N": blocks[1], "BLOCK_K": blocks[2],
        "INTERPRETED": False,
    }  # fmt: skip
    return CompiledAhead(phase_conv_kernel, signature, constants, num_warps=_warps(blocks))


def _normalisation_ahead() -> list[CompiledAhead]:
    statistics = {
        "part_ptr": "*fp32", "stats_ptr": "*fp32", "parts": "i32", "pixels": "i32", "eps": "fp32"
    }  # fmt: skip
    numbers = {"count": "i32", "channels": "i32", "pixels": "i32"}
    numbers |= {"alpha": "fp32", "gain": "fp32", "clamp": "fp32", "stats_ptr": "*fp32"}
    return [
        CompiledAhead(statistics_kernel, statistics, {"PARTS": PARTS}),
        *(
            CompiledAhead(
                normalize_kernel,
                {"u_ptr": f"*{t}", "y_ptr": f"*{t}", **numbers},
                {"ACT": ACTIVATIONS["lrelu"].code, "LAST": last, "BLOCK": ELEMENTS},
            )
            for t in ("fp32", "fp16", "bf16")
            for last in (False, True)
        ),
    ]
