"""The definition of `wavenet_stream`: the network on a block, each convolution preceded by what it
has heard."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from bunraku_kernels.activations import ACTIVATIONS
from bunraku_kernels.wavenet_stream.packing import Conv, Layout, layout_of


class Memory(Protocol):
    def extended(self, conv: Conv, x: Tensor) -> Tensor:
        """x [batch, channels, frames] with the `lookback` frames before it; x is remembered."""


def step(
    x: Tensor,
    packed: Tensor,
    program: Tensor,
    ring: Tensor,
    position: Tensor,
    plan: str,
    voices: int,
) -> Tensor:
    """x [batch, frames] to y; ring [batch, floats] and position [batch] move on."""
    rings = Rings(ring, position)
    y = network(layout_of(plan), packed, x, rings)
    rings.remember()
    position.add_(x.shape[1])
    return y


def network(layout: Layout, packed: Tensor, x: Tensor, memory: Memory) -> Tensor:
    """x [batch, frames] to y [batch, frames]."""
    condition = x[:, None]
    signal, skip = condition, None
    for array in layout.arrays:
        signal = _mapped(array.rechannel.of(packed)[0], signal)
        for layer in array.layers:
            z = _convolved(layer.conv, packed, signal, memory)
            z = z + layer.mixin.of(packed)[:, None] * condition
            h = ACTIVATIONS[layer.plan.activation].value(z, layer.plan.slope)
            skip = h if skip is None else skip + h
            update = _mapped(layer.one_by_one.of(packed)[0], h)
            signal = signal + update + layer.one_by_one_bias.of(packed)[:, None]
        assert skip is not None
        skip = _convolved(array.head, packed, skip, memory)
    assert skip is not None
    return skip[:, 0].contiguous()


def silent_memory(layout: Layout, packed: Tensor) -> Tensor:
    """[layout.ring_floats]: a stream's memory after endless silence, in which every convolution
    has heard one constant for each channel."""
    memory = Silence()
    network(layout, packed, packed.new_zeros(1, 1), memory)
    return torch.cat([packed.new_zeros(0), *memory.rings])


class Rings:
    """The streams' memory, each at its own position. What is heard is written by `remember`, when
    nothing can fail any more, so that a call that did fail may be made again."""

    def __init__(self, ring: Tensor, position: Tensor) -> None:
        self._ring = ring
        self._position = position
        self._heard: list[tuple[Tensor, Tensor, Tensor]] = []

    def extended(self, conv: Conv, x: Tensor) -> Tensor:
        lookback, (batch, channels, frames) = conv.lookback, x.shape
        if lookback == 0:
            return x
        floats = lookback * conv.ring_channels
        ring = self._ring.narrow(1, conv.ring, floats).view(batch, lookback, conv.ring_channels)
        ring = ring[:, :, :channels].transpose(1, 2)
        heard = ring.gather(2, self._places(-lookback, 0, lookback, channels))
        first = max(0, frames - lookback)
        places = self._places(first, frames, lookback, channels)
        self._heard.append((ring, places, x[:, :, first:]))
        return torch.cat([heard, x], dim=2)

    def remember(self) -> None:
        for ring, places, frames in self._heard:
            ring.scatter_(2, places, frames)

    def _places(self, begin: int, end: int, lookback: int, channels: int) -> Tensor:
        """[batch, channels, end - begin], where in a ring the frames from `begin` on lie."""
        time = torch.arange(begin, end, device=self._position.device)
        places = (self._position[:, None] + time) % lookback
        return places[:, None].expand(-1, channels, -1)


class Silence:
    """A memory of endless silence, for one frame of it."""

    def __init__(self) -> None:
        self.rings: list[Tensor] = []

    def extended(self, conv: Conv, x: Tensor) -> Tensor:
        padded = x.new_zeros(conv.ring_channels)
        padded[: x.shape[1]] = x[0, :, 0]
        self.rings.append(padded.repeat(conv.lookback))
        return x.expand(-1, -1, conv.lookback + 1)


def _mapped(matrix: Tensor, x: Tensor) -> Tensor:
    """matrix [inputs, outputs] on the channels of x [batch, inputs, frames]."""
    return torch.einsum("io,bit->bot", matrix, x)


def _convolved(conv: Conv, packed: Tensor, x: Tensor, memory: Memory) -> Tensor:
    """[batch, outputs, frames]"""
    matrix, heard, frames = conv.matrix.of(packed), memory.extended(conv, x), x.shape[2]
    total = conv.bias.of(packed)[:, None]
    for tap in range(conv.matrix.taps):
        begin = conv.lookback - tap * conv.dilation
        total = total + _mapped(matrix[tap], heard[:, :, begin : begin + frames])
    return total
