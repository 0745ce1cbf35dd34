"""Voices of the real-time core, one for each stream."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import Tensor

from bunraku_kernels.backends import address, native_module
from bunraku_kernels.instruction_set import check_asked_isa
from bunraku_kernels.wavenet_stream.plan import WaveNetPlan
from bunraku_kernels.wavenet_stream.streams import CoreStreams
from bunraku_kernels.wavenet_stream.weights import FeedforwardWaveNetWeights

_networks: weakref.WeakKeyDictionary[FeedforwardWaveNetWeights, Any] = weakref.WeakKeyDictionary()


def opened(weights: FeedforwardWaveNetWeights, batch: int) -> CoreStreams:
    with torch.inference_mode(False):  # as TensorStreams.opened
        position = torch.zeros(batch, dtype=torch.int64)
        ring = torch.zeros(batch, 0)
    return CoreStreams(weights, ring, position, _network(weights).open(batch))


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
    native_module().wavenet_voices_step(voices, address(x), address(y), *x.shape)
    position.add_(x.shape[1])
    return y


def _network(weights: FeedforwardWaveNetWeights) -> Any:
    """The core's network, packed once and shared by all streams of these weights."""
    if weights not in _networks:
        check_asked_isa()
        flat = weights.flat.contiguous()
        described = _described(weights.plan)
        _networks[weights] = native_module().WaveNetNetwork(described, address(flat), flat.numel())
    return _networks[weights]


def _described(plan: WaveNetPlan) -> list[tuple[Any, ...]]:
    """As wavenet_stream_bindings.cpp takes it; linear is a leaky ReLU of slope 1."""
    return [
        (
            array.channels,
            array.head_size,
            array.head_kernel_size,
            array.head_bias,
            [
                (layer.kernel_size, layer.dilation, "lrelu", 1.0)
                if layer.activation == "linear"
                else (layer.kernel_size, layer.dilation, layer.activation, layer.slope)
                for layer in array.layers
            ],
        )
        for array in plan.arrays
    ]
