"""Both ways, up and down, one pixel to a few tiles, both layouts and orders, crops and batches.

Codes are compared as numbers with room for one code: a sum of exactly one half may round either
way in float32. test_frame.py counts how rarely that happens.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from bunraku_kernels.examples import Draw, Example, Tensors
from bunraku_kernels.frame import frame_to_tensor, tensor_to_frame

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
TYPES = (torch.float32, torch.float16)
ONE_CODE = 400.0  # times 1e-5 is 1 / 250


def examples() -> Iterator[Example]:
    yield _into("shrunk", _pixels(1, 20, 45, 70), (13, 37))
    yield _into("shrunk bilinear", _pixels(2, 20, 45, 70), (13, 37), resize="bilinear")
    yield _into("enlarged", _pixels(3, 7, 9), (16, 33), order="rgb", layout="channels_last")
    yield _into("same size", _pixels(4, 2, 11, 19), (11, 19), layout="channels_last")
    yield _into("crop", _pixels(5, 24, 40)[3:20, 5:36], (8, 8))
    yield _into("one row", _pixels(6, 1, 50), (3, 7))
    yield _into("one column", _pixels(7, 50, 1), (7, 1))
    yield _into("beyond shared memory", _pixels(8, 2, 9000), (1, 2))
    yield _into("no frames", _pixels(9, 0, 5, 5), (4, 4))
    yield _back("enlarged by mask", _pixels(10, 2, 21, 43), (8, 12), mask=(5, 9))
    yield _back("shrunk", _pixels(11, 9, 10), (20, 31), order="rgb")
    yield _back("shrunk bilinear", _pixels(12, 9, 10), (20, 31), mask=(20, 31), resize="bilinear")
    yield _back("one pixel", _pixels(13, 1, 1), (3, 1), mask=(1, 1))
    yield _back("no frames", _pixels(14, 0, 5, 5), (4, 4), mask=(4, 4))
    yield _into_given_memory()
    yield _back_given_memory()


def _pixels(seed: int, *shape: int) -> Tensor:
    return Draw(seed).integers(0, 256, *shape, 3).to(torch.uint8)


def _into(name: str, frame: Tensor, size: tuple[int, int], **settings: Any) -> Example:
    def run(t: Tensors, impl: str) -> tuple[Tensor, ...]:
        dtype = t["like"].dtype
        return (
            frame_to_tensor(
                t["frame"], size, mean=MEAN, std=STD, dtype=dtype, impl=impl, **settings
            ),
        )

    tensors = {"frame": frame, "like": torch.zeros(1, dtype=torch.float64)}
    return Example(f"in {name}", tensors, run, dtypes=TYPES)


def _back(
    name: str,
    frame: Tensor,
    size: tuple[int, int],
    mask: tuple[int, int] | None = None,
    **settings: Any,
) -> Example:
    count = frame.shape[0] if frame.ndim == 4 else 1
    tensors = {"frame": frame, "y": Draw(90).normal(count, 3, *size, scale=2.0)}
    if mask is not None:
        tensors["mask"] = Draw(91).normal(count, 1, *mask) + 0.5

    def run(t: Tensors, impl: str) -> tuple[Tensor, ...]:
        codes = tensor_to_frame(
            t["y"], t["frame"], mask=t.get("mask"), mean=MEAN, std=STD, impl=impl, **settings
        )
        return (codes.to(torch.float32),)

    return Example(f"back {name}", tensors, run, dtypes=(torch.float32,), scale=ONE_CODE)


def _into_given_memory() -> Example:
    """Into a tensor that the caller brings, as a stream does frame after frame."""

    def run(t: Tensors, impl: str) -> tuple[Tensor, ...]:
        planes = t["frame"].new_empty((1, 3, 6, 8), dtype=t["like"].dtype)
        frame_to_tensor(t["frame"], (6, 8), dtype=planes.dtype, out=planes, impl=impl)
        return (planes,)

    tensors = {"frame": _pixels(15, 10, 14), "like": torch.zeros(1, dtype=torch.float64)}
    return Example("in given memory", tensors, run, dtypes=TYPES)


def _back_given_memory() -> Example:
    """Over the original itself."""

    def run(t: Tensors, impl: str) -> tuple[Tensor, ...]:
        codes = t["frame"].clone()
        tensor_to_frame(t["y"], codes, mask=t["mask"], out=codes, impl=impl)
        return (codes.to(torch.float32),)

    tensors = {
        "frame": _pixels(15, 10, 14),
        "y": Draw(92).uniform(1, 3, 6, 8),
        "mask": Draw(93).uniform(1, 1, 6, 8),
    }
    return Example("back given memory", tensors, run, dtypes=(torch.float32,), scale=ONE_CODE)
