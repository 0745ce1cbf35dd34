"""Addresses, sizes and taps for frame_native.hpp."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from bunraku_kernels.backends import address, native_module
from bunraku_kernels.frame.memory import codes_to_values, pixels, planes, values_to_codes
from bunraku_kernels.frame.taps import taps
from bunraku_kernels.instruction_set import check_asked_isa


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
    check_asked_isa()
    rows = taps(frame.shape[1], out.shape[2], antialias)
    columns = taps(frame.shape[2], out.shape[3], antialias)
    native_module().frame_to_tensor(
        pixels(frame), planes(out),
        (address(rows.first), address(rows.weights), rows.count),
        (address(columns.first), address(columns.weights), columns.count),
        *codes_to_values(mean, std), len(frame), bgr,
    )  # fmt: skip


def to_frame(
    y: Tensor, original: Tensor, mask: Tensor | None, out: Tensor,
    bgr: bool, mean: Sequence[float], std: Sequence[float], antialias: bool,
) -> None:  # fmt: skip
    if out.numel() == 0:
        return
    check_asked_isa()
    resized = [(y, antialias)] if mask is None else [(y, antialias), (mask, False)]
    height, width = original.shape[1:3]
    # Held in a list: evicted from the cache by another thread, they must live through the call.
    held = [(taps(t.shape[2], height, a), taps(t.shape[3], width, a)) for t, a in resized]
    steps = [
        (
            (address(rows.first), address(rows.weights), rows.count),
            (address(columns.first), address(columns.by_tap), columns.count),
        )
        for rows, columns in held
    ]
    native_module().tensor_to_frame(
        planes(y), None if mask is None else planes(mask), pixels(original), pixels(out),
        *steps[0], *(steps[1] if mask is not None else (None, None)),
        *values_to_codes(mean, std), len(original), bgr,
    )  # fmt: skip
