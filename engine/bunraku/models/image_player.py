"""An image generator on a stream of frames: frame in, blended frame out, all on its device.

On a GPU the whole way is one CUDA graph on a prioritised stream, captured once for each pair of
frame and network sizes; on a CPU the same steps run one by one.
"""

from __future__ import annotations

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

    frame: Tensor
    mask: Tensor
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
        self._buffers: dict[tuple[Size, Size, Size], Buffers] = {}

    def show(self, pixels: Pixels, mask: Mask, size: Size) -> Pixels:
        """`pixels` with the network's picture over it as far as `mask` says.

        pixels: uint8 [H, W, 3], blue first; mask: float32 [h, w] of any size, 0 to 1, where [1, 1]
        holds for the whole frame; size: what the network gets.
        """
        key = (pixels.shape[:2], mask.shape[:2], size)
        buffers = self._buffers.get(key)
        with torch.inference_mode():
            if buffers is None:
                if len(self._buffers) == GRAPHS_MAX:
                    self._buffers.pop(next(iter(self._buffers)))
                make = self.capture if self.on_gpu else self.make_buffers
                buffers = self._buffers[key] = make(pixels, mask, size)
            if self.on_gpu:
                return self.replay(buffers, pixels, mask)
            return self.run_here(buffers, pixels, mask, size)

    def make_buffers(self, pixels: Pixels, mask: Mask, _: Size) -> Buffers:
        frame = torch.empty(pixels.shape, dtype=torch.uint8, device=self.device)
        cover = torch.empty((1, 1, *mask.shape), dtype=torch.float32, device=self.device)
        return Buffers(frame, cover, torch.empty_like(frame))

    def steps(self, buffers: Buffers, size: Size) -> None:
        from bunraku_kernels.frame import frame_to_tensor, tensor_to_frame

        seen = frame_to_tensor(
            buffers.frame, size, mean=HALF, std=HALF, dtype=self.dtype, layout="channels_last"
        )
        made = self.model(seen)
        tensor_to_frame(
            made, buffers.frame, mask=buffers.mask, mean=HALF, std=HALF, out=buffers.shown
        )

    def run_here(self, buffers: Buffers, pixels: Pixels, mask: Mask, size: Size) -> Pixels:
        buffers.frame.copy_(torch.from_numpy(np.ascontiguousarray(pixels)))
        buffers.mask[0, 0].copy_(torch.tensor(mask))
        self.steps(buffers, size)
        return np.array(buffers.shown.numpy())

    def capture(self, pixels: Pixels, mask: Mask, size: Size) -> Buffers:
        """Steps that were run a few times, so that libraries have chosen and allocated, as a
        graph."""
        with torch.cuda.stream(self._stream):
            buffers = self.make_buffers(pixels, mask, size)
            buffers.frame.zero_()
            buffers.mask.zero_()
            for _ in range(WARM_UP_RUNS):
                self.steps(buffers, size)
        torch.cuda.current_stream().wait_stream(self._stream)
        buffers.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(buffers.graph, pool=self._pool, stream=self._stream):
            self.steps(buffers, size)
        self._pool = buffers.graph.pool()
        return buffers

    def replay(self, buffers: Buffers, pixels: Pixels, mask: Mask) -> Pixels:
        with torch.cuda.stream(self._stream):
            buffers.frame.copy_(torch.from_numpy(np.ascontiguousarray(pixels)))
            buffers.mask[0, 0].copy_(torch.tensor(mask))
            buffers.graph.replay()
            shown = buffers.shown.cpu()
        return np.array(shown.numpy())
