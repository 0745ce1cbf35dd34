"""The `.nam` list of weights laid out for kernels, and where in it and in a stream's memory each
part of the network lies.

Channels are padded to quads, so that a thread moves four floats at once. Matrices are
[tap][input][output], tap k being k dilations before now. A stream's memory is one ring for each
convolution that looks back: [lookback][channels], the frame of time t at t mod lookback.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bunraku_kernels.activations import ACTIVATIONS
from bunraku_kernels.wavenet_stream.plan import ArrayPlan, LayerPlan, WaveNetPlan

Indices = npt.NDArray[np.int64]


def quads(channels: int) -> int:
    return (channels + 3) // 4


@dataclass(frozen=True)
class Matrix:
    """[taps][inputs][outputs] at `offset` of the packed weights, and what of it is not padding."""

    offset: int
    taps: int
    inputs: int
    outputs: int

    @property
    def floats(self) -> int:
        return self.taps * 16 * quads(self.inputs) * quads(self.outputs)

    def of(self, packed: Tensor) -> Tensor:
        """[taps, inputs, outputs], a view."""
        shape = (self.taps, 4 * quads(self.inputs), 4 * quads(self.outputs))
        return packed.narrow(0, self.offset, self.floats).view(shape)[
            :, : self.inputs, : self.outputs
        ]


@dataclass(frozen=True)
class Vector:
    offset: int
    count: int

    @property
    def floats(self) -> int:
        return 4 * quads(self.count)

    def of(self, packed: Tensor) -> Tensor:
        return packed.narrow(0, self.offset, self.count)


@dataclass(frozen=True)
class Conv:
    """A dilated convolution, and its ring at float `ring` of a stream's memory."""

    matrix: Matrix
    bias: Vector
    dilation: int
    ring: int

    @property
    def lookback(self) -> int:
        return (self.matrix.taps - 1) * self.dilation

    @property
    def ring_channels(self) -> int:
        return 4 * quads(self.matrix.inputs)


@dataclass(frozen=True)
class Layer:
    plan: LayerPlan
    conv: Conv
    mixin: Vector
    one_by_one: Matrix
    one_by_one_bias: Vector


@dataclass(frozen=True)
class Array:
    plan: ArrayPlan
    rechannel: Matrix
    layers: tuple[Layer, ...]
    head: Conv

    def convs(self) -> Iterator[tuple[Conv, LayerPlan | None]]:
        """In the order in which they are computed; the head has no layer."""
        yield from ((layer.conv, layer.plan) for layer in self.layers)
        yield self.head, None


@dataclass(frozen=True)
class Layout:
    arrays: tuple[Array, ...]
    weight_floats: int
    ring_floats: int  # of one stream

    @property
    def conv_count(self) -> int:
        return sum(len(array.layers) + 1 for array in self.arrays)

    @property
    def widest(self) -> int:
        """The most channels of any part."""
        return max(max(array.plan.channels, array.plan.head_size) for array in self.arrays)

    @property
    def sizes(self) -> tuple[int, ...]:
        """As WaveNetStreamSizes of wavenet_stream_launch.hpp."""
        arrays = len(self.arrays)
        return self.weight_floats, self.ring_floats, arrays, self.conv_count, quads(self.widest)


class _Packer:
    """Gives out places; notes for each packed float which of the listed ones it is."""

    def __init__(self, listed: int) -> None:
        self._zero = listed  # one past the list: what padding points at
        self._next_listed = 0
        self._sources: list[Indices] = []
        self.floats = 0
        self.ring_floats = 0

    def matrix(self, taps: int, inputs: int, outputs: int) -> Matrix:
        matrix = Matrix(self.floats, taps, inputs, outputs)
        listed = self._take(outputs * inputs * taps).reshape(outputs, inputs, taps)
        padded = np.full((taps, 4 * quads(inputs), 4 * quads(outputs)), self._zero)
        padded[:, :inputs, :outputs] = listed.transpose(2, 1, 0)[::-1]
        self._append(padded)
        return matrix

    def vector(self, count: int, listed: bool = True) -> Vector:
        vector = Vector(self.floats, count)
        padded = np.full(4 * quads(count), self._zero)
        if listed:
            padded[:count] = self._take(count)
        self._append(padded)
        return vector

    def conv(self, taps: int, inputs: int, outputs: int, dilation: int, bias: bool = True) -> Conv:
        conv = Conv(
            self.matrix(taps, inputs, outputs),
            self.vector(outputs, listed=bias),
            dilation,
            self.ring_floats,
        )
        self.ring_floats += conv.lookback * conv.ring_channels
        return conv

    def sources(self) -> Indices:
        return np.concatenate(self._sources)

    def _take(self, count: int) -> Indices:
        self._next_listed += count
        return np.arange(self._next_listed - count, self._next_listed)

    def _append(self, padded: Indices) -> None:
        self._sources.append(padded.reshape(-1))
        self.floats += padded.size


@functools.lru_cache(maxsize=256)
def layout_of(text: str) -> Layout:
    """The layout of the plan of that text."""
    return laid_out(WaveNetPlan.from_text(text))[0]


def laid_out(plan: WaveNetPlan) -> tuple[Layout, Indices]:
    """The layout, and for each packed float the place in the list that it comes from; padding
    comes from one past its end."""
    packer = _Packer(plan.weight_count)
    arrays, inputs = [], 1
    for array in plan.arrays:
        width = array.channels
        rechannel = packer.matrix(1, inputs, width)
        layers = tuple(
            Layer(
                layer,
                packer.conv(layer.kernel_size, width, width, layer.dilation),
                packer.vector(width),
                packer.matrix(1, width, width),
                packer.vector(width),
            )
            for layer in array.layers
        )
        head = packer.conv(array.head_kernel_size, width, array.head_size, 1, array.head_bias)
        arrays.append(Array(array, rechannel, layers, head))
        inputs = width
    return Layout(tuple(arrays), packer.floats, packer.ring_floats), packer.sources()


def program_of(layout: Layout) -> Tensor:
    """The layout as wavenet_stream.cu reads it, int32: WaveNetArrayEntry for each array, then
    WaveNetConvEntry for each convolution."""
    entries: list[int] = []
    first = 0
    for array in layout.arrays:
        matrix = array.rechannel
        entries += [
            quads(matrix.outputs),
            first,
            len(array.layers),
            matrix.offset,
            quads(matrix.inputs),
        ]
        first += len(array.layers) + 1
    for array in layout.arrays:
        for conv, layer in array.convs():
            code = 0 if layer is None else ACTIVATIONS[layer.activation].code
            slope = np.float32(0.0 if layer is None else layer.slope).view(np.int32)
            matrix = conv.matrix
            entries += [
                matrix.offset,
                quads(matrix.inputs),
                matrix.taps,
                conv.dilation,
                conv.lookback,
            ]
            entries += [conv.ring, code, int(slope)]
    return torch.tensor(entries, dtype=torch.int32)
