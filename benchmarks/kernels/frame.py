"""A camera frame into a network's input and back, as a live effect does for every picture.

Peers: PyTorch's own operations with an 8-bit frame in and out ("eager"), and, where opencv-python
is installed, what programs for cameras usually write: "opencv" averages areas (INTER_AREA),
"opencv linear" reads four pixels for each (INTER_LINEAR, no antialiasing), both in 8 bits, which
blobFromImage then normalises with one scale for all channels; on the way back it resizes 8-bit
codes and blends in float32. Neither gives the operator's values to the last digit.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any

import torch
from bunraku_kernels.frame import frame_to_tensor, tensor_to_frame
from case import Case, Run
from torch import Tensor
from torch.nn import functional

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIZE = 256
CPU_FRAMES = ((720, 1280), (480, 640))
HD, HD_SIZE = (1080, 1920), 512


def cases() -> list[Case]:
    on_cpu = [
        case
        for height, width in CPU_FRAMES
        for case in (
            _into(height, width, SIZE, torch.float32, "antialias", ("cpu",)),
            _into(height, width, SIZE, torch.float32, "bilinear", ("cpu",)),
            _back(height, width, SIZE, torch.float32, False, ("cpu",)),
            _back(height, width, SIZE, torch.float32, True, ("cpu",)),
        )
    ]
    asked = {"at most us": 30.0}
    return [
        *on_cpu,
        _into(*HD, HD_SIZE, torch.float16, "antialias", ("cuda",), asked),
        _into(*HD, HD_SIZE, torch.float16, "bilinear", ("cuda",)),
        _back(*HD, HD_SIZE, torch.float16, True, ("cuda",)),
    ]


def _name(direction: str, height: int, width: int, size: int, *more: str) -> str:
    return " ".join([direction, f"{width}x{height}", f"{size}", *more])


def _into(
    height: int, width: int, size: int, dtype: torch.dtype, resize: str, devices: tuple[str, ...],
    asked: Mapping[str, float] | None = None,
) -> Case:  # fmt: skip
    def make(device: torch.device) -> Mapping[str, Run]:
        frame = torch.randint(0, 256, (height, width, 3), dtype=torch.uint8, device=device)
        out = torch.empty(1, 3, size, size, dtype=dtype, device=device)
        settings: dict[str, Any] = {
            "mean": MEAN, "std": STD, "dtype": dtype, "resize": resize, "out": out,
        }  # fmt: skip
        mean, std = _constants(device)

        def eager() -> Tensor:
            planes = frame.permute(2, 0, 1)[None].float()
            small = functional.interpolate(
                planes, (size, size), mode="bilinear", antialias=resize == "antialias"
            )
            return ((small.flip(1) / 255 - mean) / std).to(dtype)

        return {
            _ours(device): lambda: frame_to_tensor(
                frame, (size, size), impl=_ours(device), **settings
            ),
            "eager": eager,
            **_opencv_into(frame, size),
        }

    # Separable: a triangle twice the scale wide, over all rows of the frame and then fewer.
    taps_y = 2 * max(height / size, 1) if resize == "antialias" else 2
    taps_x = 2 * max(width / size, 1) if resize == "antialias" else 2
    flop = int(2 * 3 * size * (width * taps_y + size * taps_x))
    # Without antialiasing a network that is far smaller than the frame skips most rows.
    rows = height if resize == "antialias" else min(height, 2 * size)
    moved = 3 * rows * width + 3 * size * size * dtype.itemsize
    name = _name("in", height, width, size, resize)
    return Case(name, make, moved, flop, asked=asked or {}, devices=devices)


def _back(
    height: int, width: int, size: int, dtype: torch.dtype, masked: bool, devices: tuple[str, ...]
) -> Case:
    def make(device: torch.device) -> Mapping[str, Run]:
        frame = torch.randint(0, 256, (height, width, 3), dtype=torch.uint8, device=device)
        out = torch.empty_like(frame)
        y = torch.randn(1, 3, size, size, dtype=dtype, device=device)
        mask = torch.rand(1, 1, size, size, dtype=dtype, device=device) if masked else None
        mean, std = _constants(device)

        def eager() -> Tensor:
            codes = ((y.float() * std + mean) * 255).clamp(0, 255)
            large = functional.interpolate(codes, (height, width), mode="bilinear").flip(1)
            if mask is not None:
                share = functional.interpolate(mask.float(), (height, width), mode="bilinear")
                before = frame.permute(2, 0, 1)[None].float()
                large = torch.lerp(before, large, share)
            return large[0].round().to(torch.uint8).permute(1, 2, 0).contiguous()

        return {
            _ours(device): lambda: tensor_to_frame(
                y, frame, mask=mask, mean=MEAN, std=STD, out=out, impl=_ours(device)
            ),
            "eager": eager,
            **_opencv_back(y, frame, mask),
        }

    planes = 4 if masked else 3
    flop = int(2 * planes * width * (2 * size + 2 * height) + 3 * 3 * width * height)
    frames = 2 if masked else 1  # the original is read only to be blended with
    moved = frames * 3 * height * width + planes * size * size * dtype.itemsize
    name = _name("back", height, width, size, *(["masked"] if masked else []))
    return Case(name, make, moved, flop, devices=devices)


def _ours(device: torch.device) -> str:
    return "cuda" if device.type == "cuda" else "native"


def _constants(device: torch.device) -> tuple[Tensor, Tensor]:
    mean, std = (torch.tensor(v, device=device).reshape(1, 3, 1, 1) for v in (MEAN, STD))
    return mean, std


def _has_opencv(frame: Tensor) -> bool:
    return frame.device.type == "cpu" and importlib.util.find_spec("cv2") is not None


def _opencv_into(frame: Tensor, size: int) -> Mapping[str, Run]:
    if not _has_opencv(frame):
        return {}
    import cv2

    cv2.setNumThreads(1)
    picture = frame.numpy()
    scale, mean = 1 / (255 * sum(STD) / 3), tuple(255 * m for m in MEAN)

    def blob(image: Any) -> object:
        return cv2.dnn.blobFromImage(image, scale, (size, size), mean, swapRB=True)

    return {
        "opencv": lambda: blob(cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)),
        "opencv linear": lambda: blob(picture),
    }


def _opencv_back(y: Tensor, frame: Tensor, mask: Tensor | None) -> Mapping[str, Run]:
    if not _has_opencv(frame):
        return {}
    import cv2
    import numpy as np

    cv2.setNumThreads(1)
    picture, planes = frame.numpy(), np.ascontiguousarray(y[0].permute(1, 2, 0).numpy())
    mean, std = np.float32(MEAN), np.float32(STD)
    share = None if mask is None else mask[0, 0].numpy()
    size = (picture.shape[1], picture.shape[0])

    def back() -> object:
        codes = np.clip((planes * std + mean) * 255, 0, 255).astype(np.uint8)
        large = cv2.resize(cv2.cvtColor(codes, cv2.COLOR_RGB2BGR), size)
        if share is None:
            return large
        part = cv2.resize(share, size)[..., None]
        return np.rint(picture + part * (large.astype(np.float32) - picture)).astype(np.uint8)

    return {"opencv": back}
