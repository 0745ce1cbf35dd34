"""An image generator on a stream of frames: frame in, blended frame out, all on its device.

On a GPU the whole way is one CUDA graph on a prioritised stream, captured once for each number of
frames and their and the network's size; on a CPU the same steps run one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bunraku.models.image_generator import ImageGenerator

Pixels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.float32]
Size = tuple[int, int]
"""(height, width)."""

HALF = (0.5, 0.5, 0.5)
"""Mean and deviation that bring 0..1 to -1..1."""
HIGHEST_PRIORITY = -5
"""CUDA limits it to what the device has; the smaller the sooner."""
GRAPHS_MAX = 32
"""Sizes that are kept. They run one after another, so they share one pool of memory."""
WARM_UP_RUNS = 3


def cuda_at_hand() -> bool:
    return torch.cuda.is_available()


@dataclass
class Buffers:
    """Everything that one graph reads and writes, at fixed addresses."""

    frames: Tensor
    masks: Tensor
    shown: Tensor
    graph: Any = None


class ImagePlayer:
    """device: "cpu" or "cuda". Half precision on a GPU."""

    def __init__(self, model: ImageGenerator, device: str) -> None:
        self.device = torch.device(device)
        self.on_gpu = self.device.type == "cuda"
        self.dtype = torch.float16 if self.on_gpu else torch.float32
        placed = model.to(self.device, self.dtype)
        self.model: Any = placed.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._stream: Any = (
            torch.cuda.Stream(priority=HIGHEST_PRIORITY)  # type: ignore[no-untyped-call]
            if self.on_gpu
            else None
        )
        self._pool: Any = None
        self._buffers: dict[tuple[int, Size, Size, Size], Buffers] = {}

    def show(self, pictures: Sequence[tuple[Pixels, Mask]], size: Size) -> list[Pixels]:
        """Each (pixels, mask): the pixels with the network's picture over them as far as the mask
        says. All have the same shapes, and are one batch.

        pixels: uint8 [H, W, 3], blue first; mask: float32 [h, w] of any size, 0 to 1, where [1, 1]
        holds for the whole frame; size: what the network gets.
        """
        pixels, mask = pictures[0]
        key = (len(pictures), pixels.shape[:2], mask.shape[:2], size)
        buffers = self._buffers.get(key)
        with torch.inference_mode():
            if buffers is None:
                if len(self._buffers) == GRAPHS_MAX:
                    self._buffers.pop(next(iter(self._buffers)))
                make = self.capture if self.on_gpu else self.make_buffers
                buffers = self._buffers[key] = make(pictures, size)
            if self.on_gpu:
                return self.replay(buffers, pictures)
            return self.run_here(buffers, pictures, size)

    def make_buffers(self, pictures: Sequence[tuple[Pixels, Mask]], _: Size) -> Buffers:
        count, (pixels, mask) = len(pictures), pictures[0]
        frames = torch.empty((count, *pixels.shape), dtype=torch.uint8, device=self.device)
        masks = torch.empty((count, 1, *mask.shape), dtype=torch.float32, device=self.device)
        return Buffers(frames, masks, torch.empty_like(frames))

    def fill(self, buffers: Buffers, pictures: Sequence[tuple[Pixels, Mask]]) -> None:
        for k, (pixels, mask) in enumerate(pictures):
            buffers.frames[k].copy_(torch.from_numpy(np.ascontiguousarray(pixels)))
            buffers.masks[k, 0].copy_(torch.tensor(mask))

    def steps(self, buffers: Buffers, size: Size) -> None:
        from bunraku_kernels.frame import frame_to_tensor, tensor_to_frame

        seen = frame_to_tensor(
            buffers.frames, size, mean=HALF, std=HALF, dtype=self.dtype, layout="channels_last"
        )
        made = self.model(seen)
        tensor_to_frame(
            made, buffers.frames, mask=buffers.masks, mean=HALF, std=HALF, out=buffers.shown
        )

    def run_here(
        self, buffers: Buffers, pictures: Sequence[tuple[Pixels, Mask]], size: Size
    ) -> list[Pixels]:
        self.fill(buffers, pictures)
        self.steps(buffers, size)
        return list(np.array(buffers.shown.numpy()))

    def capture(self, pictures: Sequence[tuple[Pixels, Mask]], size: Size) -> Buffers:
        """Steps that were run a few times, so that libraries have chosen and allocated, as a
        graph."""
        with torch.cuda.stream(self._stream):
            buffers = self.make_buffers(pictures, size)
            buffers.frames.zero_()
            buffers.masks.zero_()
            for _ in range(WARM_UP_RUNS):
                self.steps(buffers, size)
        torch.cuda.current_stream().wait_stream(self._stream)
        buffers.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(buffers.graph, pool=self._pool, stream=self._stream):
            self.steps(buffers, size)
        self._pool = buffers.graph.pool()
        return buffers

    def replay(self, buffers: Buffers, pictures: Sequence[tuple[Pixels, Mask]]) -> list[Pixels]:
        with torch.cuda.stream(self._stream):
            self.fill(buffers, pictures)
            buffers.graph.replay()
            shown = buffers.shown.cpu()
        return list(np.array(shown.numpy()))
