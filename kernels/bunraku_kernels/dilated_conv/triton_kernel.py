"""One program holds all hidden channels of a run of frames, so that gate, residual and skip follow
the convolution without leaving the chip. Time is the columns of every matrix product.

The gradient is two kernels: one computes z again and gives dz, the other gives what went in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from bunraku_kernels.activations import ACTIVATIONS
from bunraku_kernels.aot import CompiledAhead
from bunraku_kernels.backends import is_simulated
from bunraku_kernels.dilated_conv.op import GATED, empty_input_gradients, hidden_channels
from bunraku_kernels.triton_math import activation_slope, activation_value, tanh

GATED_CODE = tl.constexpr(-1)


@triton.jit
def product(a, b, total, INTERPRETED: tl.constexpr):
    """total + a b, summed in float32. The interpreter multiplies bfloat16 wrongly."""
    if INTERPRETED:
        a, b = a.to(tl.float32), b.to(tl.float32)
    return tl.dot(a, b, total, input_precision="ieee")


@triton.jit
def load_matrix(ptr, rows, row_count, columns, column_count, row_stride, column_stride):
    inside = (rows[:, None] < row_count) & (columns[None, :] < column_count)
    return tl.load(ptr + rows[:, None] * row_stride + columns[None, :] * column_stride, inside, 0.0)


@triton.jit
def load_signal(ptr, channel, channels, frame, frames):
    """Zero outside the signal."""
    inside = (channel[:, None] < channels) & (frame >= 0)[None, :] & (frame < frames)[None, :]
    return tl.load(ptr + channel.to(tl.int64)[:, None] * frames + frame[None, :], inside, 0.0)


@triton.jit
def store_signal(ptr, value, channel, channels, frame, frames):
    inside = (channel[:, None] < channels) & (frame >= 0)[None, :] & (frame < frames)[None, :]
    to = ptr + channel.to(tl.int64)[:, None] * frames + frame[None, :]
    tl.store(to, value.to(ptr.dtype.element_ty), inside)


@triton.jit
def load_bias(ptr, row, rows, HAS: tl.constexpr):
    if HAS:
        return tl.load(ptr + row, row < rows, 0.0).to(tl.float32)[:, None]
    else:
        return (row * 0.0)[:, None]


@triton.jit
def preactivation(
    taps_ptr, bias_ptr, x_ptr, history_ptr, condition_ptr, mixin_ptr, b, frame,
    channels, features, hidden, frames, taps, dilation,
    GATED: tl.constexpr, HAS_BIAS: tl.constexpr, HAS_CONDITION: tl.constexpr,
    HAS_HISTORY: tl.constexpr, HIDDEN: tl.constexpr, FRAMES: tl.constexpr, PANEL: tl.constexpr,
    INTERPRETED: tl.constexpr,
):  # fmt: skip
    """Both halves of z, [HIDDEN, FRAMES] each; the second is only of use where GATED.
    taps_ptr: the weight as [K, Z, R]."""
    row = tl.arange(0, HIDDEN)
    gate_rows = row + hidden
    outputs = 2 * hidden if GATED else hidden
    value = tl.zeros([HIDDEN, FRAMES], tl.float32)
    gate = tl.zeros([HIDDEN, FRAMES], tl.float32)
    span = (taps - 1) * dilation
    panels = tl.cdiv(channels, PANEL)
    for i in range(taps * panels):
        k = i // panels
        channel = (i % panels) * PANEL + tl.arange(0, PANEL)
        now = frame - (taps - 1 - k) * dilation
        x = load_signal(x_ptr + b * channels * frames, channel, channels, now, frames)
        if HAS_HISTORY:
            x += load_signal(history_ptr + b * channels * span, channel, channels, now + span, span)
        w_ptr = taps_ptr + k * outputs * channels
        w = load_matrix(w_ptr, row, hidden, channel, channels, channels, 1)
        value = product(w, x, value, INTERPRETED)
        if GATED:
            w = load_matrix(w_ptr, gate_rows, outputs, channel, channels, channels, 1)
            gate = product(w, x, gate, INTERPRETED)
    if HAS_CONDITION:
        for i in range(tl.cdiv(features, PANEL)):
            channel = i * PANEL + tl.arange(0, PANEL)
            c = load_signal(condition_ptr + b * features * frames, channel, features, frame, frames)
            w = load_matrix(mixin_ptr, row, hidden, channel, features, features, 1)
            value = product(w, c, value, INTERPRETED)
            if GATED:
                w = load_matrix(mixin_ptr, gate_rows, outputs, channel, features, features, 1)
                gate = product(w, c, gate, INTERPRETED)
    value += load_bias(bias_ptr, row, hidden, HAS_BIAS)
    if GATED:
        gate += load_bias(bias_ptr, gate_rows, outputs, HAS_BIAS)
    return value, gate


@triton.jit
def forward_kernel(
    taps_ptr, bias_ptr, x_ptr, history_ptr, condition_ptr, mixin_ptr,
    residual_ptr, residual_bias_ptr, skip_weight_ptr, skip_bias_ptr, x_out_ptr, skip_ptr,
    channels, features, hidden, skips, frames, taps, dilation, alpha,
    CODE: tl.constexpr, HAS_BIAS: tl.constexpr, HAS_CONDITION: tl.constexpr,
    HAS_HISTORY: tl.constexpr, HAS_RESIDUAL: tl.constexpr, HAS_RESIDUAL_BIAS: tl.constexpr,
    HAS_SKIP: tl.constexpr, HAS_SKIP_BIAS: tl.constexpr, HIDDEN: tl.constexpr,
    FRAMES: tl.constexpr, PANEL: tl.constexpr, ROWS: tl.constexpr, INTERPRETED: tl.constexpr,
):  # fmt: skip
    runs = tl.cdiv(frames, FRAMES)
    b = (tl.program_id(0) // runs).to(tl.int64)
    frame = (tl.program_id(0) % runs) * FRAMES + tl.arange(0, FRAMES)
    value, gate = preactivation(
        taps_ptr, bias_ptr, x_ptr, history_ptr, condition_ptr, mixin_ptr, b, frame,
        channels, features, hidden, frames, taps, dilation,
        CODE == GATED_CODE, HAS_BIAS, HAS_CONDITION, HAS_HISTORY, HIDDEN, FRAMES, PANEL,
        INTERPRETED,
    )  # fmt: skip
    if CODE == GATED_CODE:
        h = tanh(value) * tl.sigmoid(gate)
    else:
        h = activation_value(value, alpha, CODE)
    h = h.to(x_ptr.dtype.element_ty)
    unit = tl.arange(0, HIDDEN)
    if HAS_RESIDUAL:
        x_ptr += b * channels * frames
        for first in range(0, channels, ROWS):
            row = first + tl.arange(0, ROWS)
            w = load_matrix(residual_ptr, row, channels, unit, hidden, hidden, 1)
            y = load_signal(x_ptr, row, channels, frame, frames).to(tl.float32)
            y = product(w, h, y, INTERPRETED)
            y += load_bias(residual_bias_ptr, row, channels, HAS_RESIDUAL_BIAS)
            store_signal(x_out_ptr + b * channels * frames, y, row, channels, frame, frames)
    if HAS_SKIP:
        for first in range(0, skips, ROWS):
            row = first + tl.arange(0, ROWS)
            w = load_matrix(skip_weight_ptr, row, skips, unit, hidden, hidden, 1)
            y = product(w, h, tl.zeros([ROWS, FRAMES], tl.float32), INTERPRETED)
            y += load_bias(skip_bias_ptr, row, skips, HAS_SKIP_BIAS)
            store_signal(skip_ptr + b * skips * frames, y, row, skips, frame, frames)
    else:
        store_signal(skip_ptr + b * hidden * frames, h, unit, hidden, frame, frames)


@triton.jit
def grad_preactivation_kernel(
    taps_ptr, bias_ptr, x_ptr, history_ptr, condition_ptr, mixin_ptr,
    residual_ptr, skip_weight_ptr, dx_out_ptr, dskip_ptr, dz_ptr, h_ptr,
    channels, features, hidden, skips, frames, taps, dilation, alpha,
    CODE: tl.constexpr, HAS_BIAS: tl.constexpr, HAS_CONDITION: tl.constexpr,
    HAS_HISTORY: tl.constexpr, HAS_RESIDUAL: tl.constexpr, HAS_SKIP: tl.constexpr,
    HAS_DSKIP: tl.constexpr, WANTS_H: tl.constexpr, HIDDEN: tl.constexpr,
    FRAMES: tl.constexpr, PANEL: tl.constexpr, INTERPRETED: tl.constexpr,
):  # fmt: skip
    """HAS_RESIDUAL: there are residual weights and dx_out. HAS_SKIP: there are skip weights and
    dskip; without, dskip (if HAS_DSKIP) is the gradient of h itself."""
    runs = tl.cdiv(frames, FRAMES)
    b = (tl.program_id(0) // runs).to(tl.int64)
    frame = (tl.program_id(0) % runs) * FRAMES + tl.arange(0, FRAMES)
    unit = tl.arange(0, HIDDEN)
    dh = tl.zeros([HIDDEN, FRAMES], tl.float32)
    if HAS_RESIDUAL:
        for first in range(0, channels, PANEL):
            row = first + tl.arange(0, PANEL)
            w = load_matrix(residual_ptr, unit, hidden, row, channels, 1, hidden)
            dy = load_signal(dx_out_ptr + b * channels * frames, row, channels, frame, frames)
            dh = product(w, dy, dh, INTERPRETED)
    if HAS_SKIP:
        for first in range(0, skips, PANEL):
            row = first + tl.arange(0, PANEL)
            w = load_matrix(skip_weight_ptr, unit, hidden, row, skips, 1, hidden)
            dy = load_signal(dskip_ptr + b * skips * frames, row, skips, frame, frames)
            dh = product(w, dy, dh, INTERPRETED)
    elif HAS_DSKIP:
        dskip_ptr += b * hidden * frames
        dh += load_signal(dskip_ptr, unit, hidden, frame, frames).to(tl.float32)
    value, gate = preactivation(
        taps_ptr, bias_ptr, x_ptr, history_ptr, condition_ptr, mixin_ptr, b, frame,
        channels, features, hidden, frames, taps, dilation,
        CODE == GATED_CODE, HAS_BIAS, HAS_CONDITION, HAS_HISTORY, HIDDEN, FRAMES, PANEL,
        INTERPRETED,
    )  # fmt: skip
    if CODE == GATED_CODE:
        t = tanh(value)
        s = tl.sigmoid(gate)
        h = t * s
        dz_ptr += b * 2 * hidden * frames
        store_signal(dz_ptr, dh * s * (1 - t * t), unit, hidden, frame, frames)
        gate_ptr = dz_ptr + hidden.to(tl.int64) * frames
        store_signal(gate_ptr, dh * h * (1 - s), unit, hidden, frame, frames)
    else:
        h = activation_value(value, alpha, CODE)
        dz = dh * activation_slope(value, alpha, CODE)
        store_signal(dz_ptr + b * hidden * frames, dz, unit, hidden, frame, frames)
    if WANTS_H:
        store_signal(h_ptr + b * hidden * frames, h, unit, hidden, frame, frames)


@triton.jit
def grad_input_kernel(
    taps_ptr, mixin_ptr, dz_ptr, dx_out_ptr, dx_ptr, dhistory_ptr, dcondition_ptr,
    channels, features, outputs, frames, taps, dilation, first_frame, x_parts, parts,
    HAS_DX_OUT: tl.constexpr, WANTS_X: tl.constexpr, WANTS_HISTORY: tl.constexpr,
    FRAMES: tl.constexpr, PANEL: tl.constexpr, ROWS: tl.constexpr, INTERPRETED: tl.constexpr,
):  # fmt: skip
    """A program gives ROWS channels of dx and dhistory, or (from part x_parts on) of dcondition.
    Programs for the same frames stand side by side, so that they find dz in the cache. Frames
    start at first_frame, which is before 0 where dhistory is wanted."""
    part = tl.program_id(0) % parts
    runs = tl.cdiv(frames - first_frame, FRAMES)
    run = tl.program_id(0) // parts
    b = (run // runs).to(tl.int64)
    frame = first_frame + (run % runs) * FRAMES + tl.arange(0, FRAMES)
    dz_ptr += b * outputs * frames
    panels = tl.cdiv(outputs, PANEL)
    total = tl.zeros([ROWS, FRAMES], tl.float32)
    if part < x_parts:
        row = part * ROWS + tl.arange(0, ROWS)
        for i in range(taps * panels):
            k = i // panels
            z = (i % panels) * PANEL + tl.arange(0, PANEL)
            later = frame + (taps - 1 - k) * dilation
            dz = load_signal(dz_ptr, z, outputs, later, frames)
            w_ptr = taps_ptr + k * outputs * channels
            w = load_matrix(w_ptr, row, channels, z, outputs, 1, channels)
            total = product(w, dz, total, INTERPRETED)
        if HAS_DX_OUT:
            dx_out_ptr += b * channels * frames
            total += load_signal(dx_out_ptr, row, channels, frame, frames).to(tl.float32)
        if WANTS_X:
            store_signal(dx_ptr + b * channels * frames, total, row, channels, frame, frames)
        if WANTS_HISTORY:
            span = (taps - 1) * dilation
            to = dhistory_ptr + b * channels * span
            store_signal(to, total, row, channels, frame + span, span)
    else:
        row = (part - x_parts) * ROWS + tl.arange(0, ROWS)
        for i in range(panels):
            z = i * PANEL + tl.arange(0, PANEL)
            dz = load_signal(dz_ptr, z, outputs, frame, frames)
            w = load_matrix(mixin_ptr, row, features, z, outputs, 1, features)
            total = product(w, dz, total, INTERPRETED)
        store_signal(dcondition_ptr + b * features * frames, total, row, features, frame, frames)


# ---- launches ------------------------------------------------------------------------------------


def forward(
    weight: Tensor, act: str, x: Tensor, bias: Tensor | None, condition: Tensor | None,
    mixin: Tensor | None, history: Tensor | None, residual_weight: Tensor | None,
    residual_bias: Tensor | None, skip_weight: Tensor | None, skip_bias: Tensor | None,
    dilation: int, alpha: float,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    batch, channels, frames = x.shape
    hidden = hidden_channels(weight, act)
    skips = hidden if skip_weight is None else skip_weight.shape[0]
    x_out = x.new_empty(0) if residual_weight is None else torch.empty_like(x)
    skip = x.new_empty(batch, skips, frames)
    tile = _tile(x, hidden, frames)
    grid = batch * triton.cdiv(frames, tile["FRAMES"])
    if grid > 0:
        forward_kernel[(grid,)](
            _by_tap(weight), bias, x, history, condition, mixin,
            residual_weight, residual_bias, skip_weight, skip_bias, x_out, skip,
            channels, _features(mixin), hidden, skips, frames, weight.shape[2], dilation, alpha,
            CODE=_code(act), HAS_BIAS=bias is not None, HAS_CONDITION=condition is not None,
            HAS_HISTORY=_any(history), HAS_RESIDUAL=residual_weight is not None,
            HAS_RESIDUAL_BIAS=residual_bias is not None, HAS_SKIP=skip_weight is not None,
            HAS_SKIP_BIAS=skip_bias is not None, ROWS=_block(max(channels, skips), 64), **tile,
        )  # fmt: skip
    return x_out, skip


def grad_preactivation(
    weight: Tensor, act: str, dx_out: Tensor | None, dskip: Tensor | None, x: Tensor,
    bias: Tensor | None, condition: Tensor | None, mixin: Tensor | None, history: Tensor | None,
    residual_weight: Tensor | None, skip_weight: Tensor | None,
    dilation: int, alpha: float, wants_h: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    batch, channels, frames = x.shape
    hidden = hidden_channels(weight, act)
    dz = x.new_empty(batch, weight.shape[0], frames)
    h = x.new_empty((batch, hidden, frames) if wants_h else (0,))
    tile = _tile(x, hidden, frames)
    grid = batch * triton.cdiv(frames, tile["FRAMES"])
    if grid > 0:
        grad_preactivation_kernel[(grid,)](
            _by_tap(weight), bias, x, history, condition, mixin,
            residual_weight, skip_weight, dx_out, dskip, dz, h,
            channels, _features(mixin), hidden,
            hidden if skip_weight is None else skip_weight.shape[0],
            frames, weight.shape[2], dilation, alpha,
            CODE=_code(act), HAS_BIAS=bias is not None, HAS_CONDITION=condition is not None,
            HAS_HISTORY=_any(history),
            HAS_RESIDUAL=residual_weight is not None and dx_out is not None,
            HAS_SKIP=skip_weight is not None and dskip is not None,
            HAS_DSKIP=dskip is not None, WANTS_H=wants_h, **tile,
        )  # fmt: skip
    return dz, h


def grad_input(
    weight: Tensor, act: str, dz: Tensor, dx_out: Tensor | None, mixin: Tensor | None,
    dilation: int, wants_x: bool, wants_history: bool, wants_condition: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    batch, outputs, frames = dz.shape
    _, channels, taps = weight.shape
    dx, dhistory, dcondition = empty_input_gradients(
        weight, dz, mixin, dilation, wants_x, wants_history, wants_condition
    )
    features = _features(mixin) if wants_condition else 0
    rows = _block(max(channels, features), 64)
    x_parts = triton.cdiv(channels, rows) if wants_x or wants_history else 0
    parts = x_parts + triton.cdiv(features, rows)
    first_frame = -(taps - 1) * dilation if wants_history else 0
    tile = _tile(dz, rows, frames - first_frame)
    del tile["HIDDEN"]
    grid = parts * batch * triton.cdiv(frames - first_frame, tile["FRAMES"])
    if grid > 0:
        grad_input_kernel[(grid,)](
            _by_tap(weight), mixin, dz, dx_out, dx, dhistory, dcondition,
            channels, features, outputs, frames, taps, dilation, first_frame, x_parts, parts,
            HAS_DX_OUT=dx_out is not None, WANTS_X=wants_x, WANTS_HISTORY=_any(dhistory),
            ROWS=rows, **tile,
        )  # fmt: skip
    return dx, dhistory, dcondition


def _by_tap(weight: Tensor) -> Tensor:
    """[K, Z, R]: a tap's row lies together, which vector loads need."""
    return weight.permute(2, 0, 1).contiguous()


def _features(mixin: Tensor | None) -> int:
    return 0 if mixin is None else mixin.shape[1]


def _any(tensor: Tensor | None) -> bool:
    return tensor is not None and tensor.numel() > 0


def _code(act: str) -> int:
    return -1 if act == GATED else ACTIVATIONS[act].code


def _block(size: int, most: int) -> int:
    """The power of two that holds `size`, from 16, which tl.dot wants, to `most`."""
    return max(16, min(most, 1 << max(size - 1, 0).bit_length()))


def _tile(x: Tensor, hidden: int, frames: int) -> dict[str, Any]:
    """Block sizes and warps: two float32 sums of [HIDDEN, FRAMES] take at most half of the
    registers of the program's threads; float32 products, done without tensor
    cores, want smaller ones."""
    height = _block(hidden, 256)
    half = x.dtype != torch.float32
    width = max(16, min(128, (8192 if half else 2048) // height))
    return {
        "HIDDEN": height,
        "FRAMES": min(width, _block(frames, width)),
        "PANEL": 32 if half else 16,
        "INTERPRETED": is_simulated("triton"),
        "num_warps": 8 if height * width >= 8192 else 4,
        "num_stages": 3,
    }


# ---- compiling without a GPU ---------------------------------------------------------------------

_SIZES = ("channels", "features", "hidden", "skips", "outputs", "frames", "taps", "dilation",
          "first_frame", "x_parts", "parts")  # fmt: skip


def ahead_of_time() -> list[CompiledAhead]:
    """What is compiled without a GPU in the tests: every kernel in each type with all of its parts,
    and the ungated forward pass."""
    return list(_ahead_of_time())


def _ahead_of_time() -> Iterator[CompiledAhead]:
    for name, dtype in (("fp32", torch.float32), ("fp16", torch.float16), ("bf16", torch.bfloat16)):
        tile = _tile(torch.empty(0, dtype=dtype), 64, 16384) | {"INTERPRETED": False}
        gated = {"CODE": -1, "ROWS": 64, **tile}
        yield _compiled(forward_kernel, name, gated)
        yield _compiled(grad_preactivation_kernel, name, gated)
        yield _compiled(grad_input_kernel, name, gated)
    plain = {"CODE": ACTIVATIONS["tanh"].code, "ROWS": 16}
    yield _compiled(forward_kernel, "fp16", plain | tile | {"HIDDEN": 16})


def _compiled(kernel: Any, dtype: str, settings: Mapping[str, Any]) -> CompiledAhead:
    """Flags that `settings` does not name are on."""
    kinds = {
        name: "i32" if name in _SIZES else "fp32" for name in kernel.arg_names if name.islower()
    }
    kinds.update({name: f"*{dtype}" for name in kinds if name.endswith("_ptr")})
    constants = {name: settings.get(name, True) for name in kernel.arg_names if name.isupper()}
    return CompiledAhead(
        kernel, kinds, constants, num_warps=settings["num_warps"], num_stages=settings["num_stages"]
    )
