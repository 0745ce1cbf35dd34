"""`frame_to_tensor` and `tensor_to_frame`: between a camera's pixels and a network's planes.

Going in, resize, channel order, normalisation, type and layout are one pass that reads the frame
once; going back, the same with the blend over the original. The resize is the triangle filter of
Pillow and of F.interpolate(mode="bilinear", antialias=True).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from bunraku_kernels.frame import checks
from bunraku_kernels.layout import laid_out_densely, with_packed_pixels
from bunraku_kernels.registration import registered
from bunraku_kernels.registry import Implementation, Operator

OPERATOR = Operator(
    __package__,
    (
        Implementation("cuda", "cuda_kernel", checks.refuses_float64),
        Implementation("native", "native_kernel", checks.refuses_float64),
        Implementation("reference", "reference"),
    ),
    in_place=True,
)
ZERO = (0.0, 0.0, 0.0)
ONE = (1.0, 1.0, 1.0)


def frame_to_tensor(
    frame: Tensor,
    size: tuple[int, int],
    *,
    order: str = "bgr",
    mean: Sequence[float] = ZERO,
    std: Sequence[float] = ONE,
    dtype: torch.dtype = torch.float32,
    layout: str = "nchw",
    resize: str = "antialias",
    out: Tensor | None = None,
    impl: str = "auto",
) -> Tensor:
    """The network's input: (resized / 255 - mean) / std, red first.

    order: the frame's channels, "bgr" unless you say "rgb": blue first is what OpenCV gives.
    frame: uint8 [H, W, 3], or [N, H, W, 3]; rows may be padded, as in a crop. size: (h, w).
    mean, std: three numbers each, red first, for values from 0 to 1.
    dtype: torch.float32, torch.float16, or torch.float64 (reference only).
    layout: "nchw" or "channels_last".
    resize: "antialias" (a triangle that widens when shrinking) or "bilinear" (always two pixels).
    out: a tensor of that shape, type and layout to write to; then nothing is allocated.

    Returns [N, 3, h, w] (N = 1 for one frame), which is `out` if given. Kernels compute in float32.
    Raises InvalidInputError, and ImplementationUnavailableError for an `impl` that does not work
    here. On a GPU it can be captured in a CUDA graph.
    """
    OPERATOR.check(impl)
    checks.one_of("order", order, checks.ORDERS)
    checks.one_of("resize", resize, checks.FILTERS)
    checks.one_of("layout", layout, tuple(checks.LAYOUTS))
    checks.one_of("dtype", dtype, checks.FLOAT_TYPES)
    frames = checks.checked_frames("frame", frame)
    height, width = checks.checked_size(size)
    means = checks.checked_triple("mean", mean, above_zero=False)
    stds = checks.checked_triple("std", std, above_zero=True)
    settings = (order == "bgr", means, stds, resize == "antialias", impl)
    if out is None:
        planar = layout == "nchw"
        made: Tensor = torch.ops.bunraku.frame_to_tensor(
            frames, height, width, dtype, planar, *settings
        )
        return made
    shape = (frames.shape[0], 3, height, width)
    checks.checked_planes_out(out, shape, dtype, layout, frames.device)
    torch.ops.bunraku.frame_to_tensor_out(frames, out, *settings)
    return out


def tensor_to_frame(
    y: Tensor,
    original: Tensor,
    *,
    mask: Tensor | None = None,
    order: str = "bgr",
    mean: Sequence[float] = ZERO,
    std: Sequence[float] = ONE,
    resize: str = "antialias",
    out: Tensor | None = None,
    impl: str = "auto",
) -> Tensor:
    """A frame of the original's size: round(mask * resized(y) + (1 - mask) * original).

    order: the original's channels and the result's, "bgr" (OpenCV's) unless you say "rgb".
    y: float32 or float16 [N, 3, h, w], red first, in either layout; y * std + mean is 0 to 1.
    original: uint8 [H, W, 3] or [N, H, W, 3]; rows may be padded.
    mask: float32 or float16 [N, 1, hm, wm], how much of y to show (0 to 1); None replaces all.
    resize: as in frame_to_tensor, for y; the mask is always resized bilinearly. out: a frame to
    write to, which may be the original itself (but must not overlap it otherwise).

    y is denormalised and limited to 0..255 pixel by pixel before it is resized, and the mask to
    0..1, so that a wild value stays in its place; not-a-number counts as 0. Halves are rounded to
    even. Where the mask is 0, the original is kept to the bit.

    Returns uint8 of the original's shape, which is `out` if given. Raises as frame_to_tensor.
    """
    OPERATOR.check(impl)
    checks.one_of("order", order, checks.ORDERS)
    checks.one_of("resize", resize, checks.FILTERS)
    frames = checks.checked_frames("original", original)
    checks.checked_planes("y", y, 3, frames)
    if mask is not None:
        checks.checked_planes("mask", mask, 1, frames)
        mask = mask.contiguous()
    means = checks.checked_triple("mean", mean, above_zero=False)
    stds = checks.checked_triple("std", std, above_zero=True)
    settings = (order == "bgr", means, stds, resize == "antialias", impl)
    dense = laid_out_densely(y)
    if out is None:
        made: Tensor = torch.ops.bunraku.tensor_to_frame(dense, frames, mask, *settings)
        return made if original.ndim == 4 else made[0]
    written = checks.checked_frames_out(out, original)
    torch.ops.bunraku.tensor_to_frame_out(dense, frames, mask, written, *settings)
    return out


# ---- registration: each way into a new tensor, and into a given one ------------------------------


@registered("frame_to_tensor", layouts={"frames": with_packed_pixels})
def _to_tensor(
    frames: Tensor, height: int, width: int, dtype: torch.dtype, planar: bool,
    bgr: bool, mean: Sequence[float], std: Sequence[float], antialias: bool, impl: str,
) -> Tensor:  # fmt: skip
    out = _empty_planes(frames, height, width, dtype, planar)
    OPERATOR.run(impl, "to_tensor", frames, out, bgr, mean, std, antialias)
    return out


@registered(
    "frame_to_tensor_out",
    mutates_args=("out",),
    layouts={"frames": with_packed_pixels, "out": laid_out_densely},
)
def _to_tensor_out(
    frames: Tensor, out: Tensor,
    bgr: bool, mean: Sequence[float], std: Sequence[float], antialias: bool, impl: str,
) -> None:  # fmt: skip
    OPERATOR.run(impl, "to_tensor", frames, out, bgr, mean, std, antialias)


@registered("tensor_to_frame", layouts={"y": laid_out_densely, "original": with_packed_pixels})
def _to_frame(
    y: Tensor, original: Tensor, mask: Tensor | None,
    bgr: bool, mean: Sequence[float], std: Sequence[float], antialias: bool, impl: str,
) -> Tensor:  # fmt: skip
    out = torch.empty(original.shape, dtype=torch.uint8, device=original.device)
    OPERATOR.run(impl, "to_frame", y, original, mask, out, bgr, mean, std, antialias)
    return out


@registered(
    "tensor_to_frame_out",
    mutates_args=("out",),
    layouts={
        "y": laid_out_densely, "original": with_packed_pixels, "out": with_packed_pixels,
    },
)  # fmt: skip
def _to_frame_out(
    y: Tensor, original: Tensor, mask: Tensor | None, out: Tensor,
    bgr: bool, mean: Sequence[float], std: Sequence[float], antialias: bool, impl: str,
) -> None:  # fmt: skip
    OPERATOR.run(impl, "to_frame", y, original, mask, out, bgr, mean, std, antialias)


def _empty_planes(
    frames: Tensor, height: int, width: int, dtype: torch.dtype, planar: bool
) -> Tensor:
    layout = torch.contiguous_format if planar else torch.channels_last
    shape = (frames.shape[0], 3, height, width)
    return torch.empty(shape, dtype=dtype, device=frames.device, memory_format=layout)


@_to_tensor.register_fake
def _(frames: Tensor, height: int, width: int, dtype: torch.dtype, planar: bool, *_: Any) -> Tensor:
    return _empty_planes(frames, height, width, dtype, planar)


@_to_frame.register_fake
def _(y: Tensor, original: Tensor, *_: Any) -> Tensor:
    return torch.empty(original.shape, dtype=torch.uint8, device=original.device)
