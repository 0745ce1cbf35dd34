"""What each implementation cannot take, in words; `auto` passes over it."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from bunraku_kernels.backends import cuda_module
from bunraku_kernels.wavenet_stream.packing import layout_of
from bunraku_kernels.wavenet_stream.weights import FeedforwardWaveNetWeights

CUDA_CHANNELS = 16
CORE_ACTIVATIONS = ("linear", "relu", "lrelu", "tanh", "sigmoid", "silu")


def refused_by_reference(
    x: Tensor,
    packed: Tensor,
    program: Tensor,
    ring: Tensor,
    position: Tensor,
    plan: str,
    voices: int,
) -> str | None:
    if voices != 0:
        return "these streams are voices of the core: play them with 'native', or open others"
    return None


def refused_by_native(
    x: Tensor,
    packed: Tensor,
    program: Tensor,
    ring: Tensor,
    position: Tensor,
    plan: str,
    voices: int,
) -> str | None:
    if voices == 0:
        return "these streams are tensors: it plays those opened with impl='native'"
    return None


def refused_by_cuda(
    x: Tensor,
    packed: Tensor,
    program: Tensor,
    ring: Tensor,
    position: Tensor,
    plan: str,
    voices: int,
) -> str | None:
    if voices != 0:
        return "these streams are voices of the core: play them with 'native', or open others"
    if x.dtype != torch.float32:
        return f"{x.dtype} is for the reference; it takes float32"
    return _cuda_refuses_plan(plan, x.device)


def refused_by_core(weights: FeedforwardWaveNetWeights) -> str | None:
    """Whether the core has voices for this network."""
    if weights.device.type != "cpu" or weights.packed.dtype != torch.float32:
        return (
            f"it takes float32 on cpu; the weights are {weights.packed.dtype} on {weights.device}"
        )
    for array in weights.plan.arrays:
        for layer in array.layers:
            if layer.activation not in CORE_ACTIVATIONS:
                return f"activation='{layer.activation}': it has {', '.join(CORE_ACTIVATIONS)}"
    return None


@functools.lru_cache(maxsize=256)
def _cuda_refuses_plan(text: str, device: torch.device) -> str | None:
    layout = layout_of(text)
    if layout.widest > CUDA_CHANNELS:
        return f"{layout.widest} channels: it takes up to {CUDA_CHANNELS}"
    if cuda_module().wavenet_stream_streams_per_block(layout.sizes) < 1:
        return (
            f"{layout.weight_floats} weights and {layout.conv_count} convolutions do not fit this "
            "GPU's shared memory beside one stream"
        )
    return None
