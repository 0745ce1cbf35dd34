"""The networks that the speed figures are about, with random weights: nothing to download."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from bunraku.formats.layout import weight_count
from bunraku.formats.specs import (
    ActivationKind,
    ActivationSpec,
    ChainSpec,
    LstmSpec,
    ModelSpec,
    NetworkSpec,
    WaveNetArraySpec,
    WaveNetLayerSpec,
    WaveNetSpec,
)

UNFILLED = np.zeros(0, np.float32)
DOUBLINGS = tuple(2**i for i in range(10))
SHORT_FIRST = DOUBLINGS[:7]
SHORT_SECOND = (*DOUBLINGS[7:], *DOUBLINGS)
A2_KERNELS = (6,) * 14 + (15, 15) + (6,) * 7
A2_DILATIONS = (1, 3, 7, 17, 41, 101, 239) * 2 + (1, 13) + (1, 3, 7, 17, 41, 101, 239)


def filled(spec: WaveNetSpec | LstmSpec, spread: float) -> NetworkSpec:
    """`spec` with random weights, small enough that nothing saturates."""
    weights = np.random.default_rng(1).normal(0.0, spread, weight_count(spec)).astype(np.float32)
    weights.flags.writeable = False
    return replace(spec, weights=weights)


def a1(
    channels: int, second_channels: int, first: tuple[int, ...], second: tuple[int, ...]
) -> NetworkSpec:
    """NeuralAmpModeler's first generation: two arrays of kernel-3 tanh layers."""

    def array(
        input_size: int, width: int, head: int, dilations: tuple[int, ...]
    ) -> WaveNetArraySpec:
        layers = tuple(WaveNetLayerSpec(3, d) for d in dilations)
        return WaveNetArraySpec(input_size, 1, width, width, head, layers, head_bias=head == 1)

    arrays = (
        array(1, channels, second_channels, first),
        array(channels, second_channels, 1, second),
    )
    return filled(WaveNetSpec(arrays, UNFILLED), 0.15)


def a2(channels: int) -> NetworkSpec:
    """The second generation: one array, kernels of 6 and 15, leaky ReLU, a head of 16 taps."""
    leaky = ActivationSpec(ActivationKind.LeakyReLU, (0.01,))
    layers = tuple(
        WaveNetLayerSpec(k, d, activation=leaky)
        for k, d in zip(A2_KERNELS, A2_DILATIONS, strict=True)
    )
    array = WaveNetArraySpec(
        1, 1, channels, channels, 1, layers, head_kernel_size=16, head_bias=True
    )
    return filled(WaveNetSpec((array,), UNFILLED), 0.1)


def lstm(layers: int, hidden: int) -> NetworkSpec:
    return filled(LstmSpec(1, hidden, layers, UNFILLED), 0.3)


SHAPES: dict[str, Callable[[], NetworkSpec]] = {
    "standard": lambda: a1(16, 8, DOUBLINGS, DOUBLINGS),
    "lite": lambda: a1(12, 6, SHORT_FIRST, SHORT_SECOND),
    "feather": lambda: a1(8, 4, SHORT_FIRST, SHORT_SECOND),
    "nano": lambda: a1(4, 2, SHORT_FIRST, SHORT_SECOND),
    "a2_full": lambda: a2(8),
    "a2_lite": lambda: a2(3),
    "lstm_1x16": lambda: lstm(1, 16),
    "lstm_2x8": lambda: lstm(2, 8),
}


def model_spec(name: str) -> ModelSpec:
    """The model called `name`, alone in its chain, at 48 kHz."""
    return ModelSpec(ChainSpec((SHAPES[name](),)), name=name)
