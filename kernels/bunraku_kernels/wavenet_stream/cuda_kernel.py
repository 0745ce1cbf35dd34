"""Addresses and sizes for wavenet_stream.cu."""

from __future__ import annotations

import torch
from torch import Tensor

from bunraku_kernels.backends import address, cuda_module, cuda_stream
from bunraku_kernels.wavenet_stream.packing import layout_of


def step(
    x: Tensor,
    packed: Tensor,
    program: Tensor,
    ring: Tensor,
    position: Tensor,
    plan: str,
    voices: int,
) -> Tensor:
    y = torch.empty_like(x)
    cuda_module().wavenet_stream(
        address(x), address(y), address(packed), address(program), address(ring), address(position),
        *x.shape, layout_of(plan).sizes, cuda_stream(x),
    )  # fmt: skip
    return y
