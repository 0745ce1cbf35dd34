"""Addresses and sizes for wavenet_stream.cu."""

from __future__ import annotations

import torch
from torch import Tensor

from bunraku_kernels.backends import address, cuda_module, cuda_stream
from bunraku_kernels.wavenet_stream.packing import layout_of, quads


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
    layout = layout_of(plan)
    cuda_module().wavenet_stream(
        address(x), address(y), address(packed), address(program), address(ring), address(position),
        x.shape[0], x.shape[1], layout.weight_floats, layout.ring_floats,
        len(layout.arrays), layout.conv_count, quads(layout.widest), cuda_stream(x),
    )  # fmt: skip
    return y
