"""What a caller may hand to `frame_to_tensor` and `tensor_to_frame`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bunraku_kernels.checks import number, shown, tensor_given, whole_number
from bunraku_kernels.errors import InvalidInputError

MAX_SIDE = 16384  # so that a window's integers fit 32 bits; see taps.py
MAX_FRAMES = 65535
KERNEL_TYPES = (torch.float32, torch.float16)
FLOAT_TYPES = (*KERNEL_TYPES, torch.float64)  # the last for the reference alone
LAYOUTS = {"nchw": torch.contiguous_format, "channels_last": torch.channels_last}
ORDERS = ("bgr", "rgb")
FILTERS = ("antialias", "bilinear")


def refuses_float64(*arguments: object) -> str | None:
    """The reason for a kernel to refuse a tensor among its arguments."""
    for argument in arguments:
        if isinstance(argument, Tensor) and argument.dtype == torch.float64:
            return "torch.float64 is for the reference; it takes torch.float32 and torch.float16"
    return None


def one_of(name: str, value: object, allowed: Sequence[object]) -> None:
    if not any(isinstance(value, type(a)) and value == a for a in allowed):
        raise InvalidInputError(
            f"{name}={shown(value)}: one of {', '.join(repr(a) for a in allowed)}"
        )


def checked_side(name: str, value: int) -> int:
    side = whole_number(name, value)
    if not 1 <= side <= MAX_SIDE:
        raise InvalidInputError(f"{name}={side}: from 1 to {MAX_SIDE} pixels")
    return side


def checked_size(size: tuple[int, int]) -> tuple[int, int]:
    if not isinstance(size, (tuple, list)) or len(size) != 2:
        raise InvalidInputError(f"size={shown(size)}: (height, width) of the result, in pixels")
    return checked_side("size[0]", size[0]), checked_side("size[1]", size[1])


def checked_triple(name: str, values: Sequence[float], above_zero: bool) -> list[float]:
    given: Any = values.tolist() if isinstance(values, (Tensor, np.ndarray)) else values
    what = "numbers above 0" if above_zero else "finite numbers"
    wanted = f"three {what}, red first, for values 0 to 1"
    if not isinstance(given, (tuple, list)) or len(given) != 3:
        raise InvalidInputError(f"{name}={shown(values)}: {wanted}")
    try:
        numbers = [number(name, v) for v in given]
    except InvalidInputError as error:
        raise InvalidInputError(f"{name}={shown(tuple(given))}: {wanted}") from error
    if above_zero and min(numbers) <= 0:
        raise InvalidInputError(f"{name}={shown(tuple(given))}: {wanted}")
    return numbers


def checked_frames(name: str, frame: Tensor) -> Tensor:
    """The frame or frames as [N, H, W, 3], a view."""
    if not isinstance(frame, Tensor):
        raise InvalidInputError(
            f"{name} is a {type(frame).__name__}: wrap it, torch.from_numpy({name})"
        )
    tensor_given(name, frame)
    if frame.dtype != torch.uint8:
        raise InvalidInputError(f"{name} is {frame.dtype}: frames are torch.uint8, 0 to 255")
    shape = list(frame.shape)
    if frame.ndim not in (3, 4):
        raise InvalidInputError(f"{name} is {shape}: [H, W, 3], or [N, H, W, 3] for a batch")
    if shape[-1] == 4:
        raise InvalidInputError(
            f"{name} is {shape}, with alpha, which is not used: pass {name}[..., :3].contiguous()"
        )
    if shape[-1] != 3:
        raise InvalidInputError(
            f"{name} is {shape}: 3 channels must come last, as a camera gives them; "
            f"for [3, H, W] pass {name}.permute(1, 2, 0).contiguous()"
        )
    frames = frame if frame.ndim == 4 else frame.unsqueeze(0)
    for side, value in zip(("height", "width"), frames.shape[1:3], strict=True):
        checked_side(f"{name} {side}", value)
    if frames.shape[0] > MAX_FRAMES:
        raise InvalidInputError(
            f"{name} holds {frames.shape[0]} frames: at most {MAX_FRAMES} a call"
        )
    _checked_pixels(name, frames)
    return frames


def _checked_pixels(name: str, frames: Tensor) -> None:
    """Rows may be padded, pixels within a row may not."""
    _, height, width, _ = frames.shape
    _, row, pixel, channel = frames.stride()
    packed = channel == 1 and (width == 1 or pixel == 3)
    if not packed or (height > 1 and row < 3 * width):
        raise InvalidInputError(
            f"{name} has strides {tuple(frames.stride())}: the pixels of a row must follow each "
            f"other (strides {3 * width} or more, 3, 1); pass {name}.contiguous()"
        )


def checked_frames_out(out: Tensor, original: Tensor) -> Tensor:
    frames = checked_frames("out", out)
    if out.shape != original.shape or out.device != original.device:
        raise InvalidInputError(
            f"out is {list(out.shape)} on {out.device}: "
            f"the original is {list(original.shape)} on {original.device}"
        )
    count, height, width, _ = frames.shape
    if count > 1 and frames.stride(0) < (height - 1) * frames.stride(1) + 3 * width:
        raise InvalidInputError(
            f"out has strides {tuple(out.stride())}: its frames overlap; "
            "pass torch.empty_like(original)"
        )
    return frames


def checked_planes_out(
    out: Tensor, shape: tuple[int, ...], dtype: torch.dtype, layout: str, device: torch.device
) -> None:
    if tuple(tensor_given("out", out).shape) != shape or out.dtype != dtype or out.device != device:
        raise InvalidInputError(
            f"out is {out.dtype} {list(out.shape)} on {out.device}: "
            f"this call writes {dtype} {list(shape)} on {device}"
        )
    if not out.is_contiguous(memory_format=LAYOUTS[layout]):
        raise InvalidInputError(
            f"out has strides {tuple(out.stride())}: layout='{layout}' wants "
            f"torch.empty(..., memory_format={LAYOUTS[layout]})"
        )


def checked_planes(name: str, planes: Tensor, channels: int, frames: Tensor) -> None:
    """[N, channels, h, w] beside the frames [N, H, W, 3]."""
    tensor_given(name, planes)
    count = frames.shape[0]
    wanted = f"[{count}, {channels}, h, w]"
    if planes.ndim != 4 or planes.shape[0] != count or planes.shape[1] != channels:
        raise InvalidInputError(f"{name} is {list(planes.shape)}: {wanted} for {count} frame(s)")
    one_of(f"{name}'s type", planes.dtype, FLOAT_TYPES)
    if planes.device != frames.device:
        raise InvalidInputError(
            f"{name} is on {planes.device}, the frame on {frames.device}: move one to the other"
        )
    for side, value in zip(("height", "width"), planes.shape[2:], strict=True):
        checked_side(f"{name} {side}", value)
