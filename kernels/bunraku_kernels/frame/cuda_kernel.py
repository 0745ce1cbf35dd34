"""Addresses and sizes for frame.cu."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from bunraku_kernels.backends import cuda_module, cuda_stream
from bunraku_kernels.frame.memory import codes_to_values, pixels, planes, values_to_codes


def to_tensor(
    frame: Tensor,
    out: Tensor,
    bgr: bool,
    mean: Sequence[float],
    std: Sequence[float],
    antialias: bool,
) -> None:
    cuda_module().frame_to_tensor(
        pixels(frame), planes(out), *codes_to_values(mean, std),
        len(frame), bgr, antialias, cuda_stream(frame),
    )  # fmt: skip


def to_frame(
    y: Tensor, original: Tensor, mask: Tensor | None, out: Tensor,
    bgr: bool, mean: Sequence[float], std: Sequence[float], antialias: bool,
) -> None:  # fmt: skip
    cuda_module().tensor_to_frame(
        planes(y), None if mask is None else planes(mask), pixels(original), pixels(out),
        *values_to_codes(mean, std), len(original), bgr, antialias, cuda_stream(original),
    )  # fmt: skip
