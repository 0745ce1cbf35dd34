"""What a model file says, as plain data: the tree that the readers build and the writers take.

It mirrors `csrc/core/model_spec.hpp` name by name. A spec that a reader of this package returned is
valid: within the limits of `limits.py`, of consistent shape, with exactly the weights it needs.
Weights are read-only float32 arrays in the `.nam` file's order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
import numpy.typing as npt

Weights = npt.NDArray[np.float32]


class ActivationKind(IntEnum):
    """The numbers that the flat file uses; the names are the `.nam` format's."""

    Tanh = 1
    Hardtanh = 2
    Fasttanh = 3
    ReLU = 4
    LeakyReLU = 5
    PReLU = 6
    Sigmoid = 7
    SiLU = 8
    Hardswish = 9
    LeakyHardtanh = 10
    Softsign = 11


@dataclass(frozen=True)
class ActivationSpec:
    """`parameters`: LeakyReLU (slope); PReLU (one slope for each channel, or one for all);
    LeakyHardtanh (min, max, min slope, max slope); none for the others."""

    kind: ActivationKind = ActivationKind.Tanh
    parameters: tuple[float, ...] = ()


class GatingMode(IntEnum):
    """How a layer's second half of channels acts on its first: not, as a factor, as a blend."""

    none = 0
    gated = 1
    blended = 2


FILM_SITES = (
    "conv_pre_film",
    "conv_post_film",
    "input_mixin_pre_film",
    "input_mixin_post_film",
    "activation_pre_film",
    "activation_post_film",
    "layer1x1_post_film",
    "head1x1_post_film",
)
"""The places of a layer that FiLM may modulate, in the order of the file and of the weights."""


@dataclass(frozen=True)
class FilmSpec:
    """Feature-wise linear modulation: x * scale(condition) (+ shift(condition))."""

    active: bool = False
    shift: bool = False
    groups: int = 1


@dataclass(frozen=True)
class WaveNetLayerSpec:
    kernel_size: int
    dilation: int
    gating: GatingMode = GatingMode.none
    activation: ActivationSpec = ActivationSpec()
    secondary_activation: ActivationSpec = ActivationSpec()


@dataclass(frozen=True)
class WaveNetArraySpec:
    input_size: int
    condition_size: int
    channels: int
    bottleneck: int
    head_out_channels: int
    layers: tuple[WaveNetLayerSpec, ...]
    groups_input: int = 1
    groups_input_mixin: int = 1
    layer1x1_active: bool = True
    layer1x1_groups: int = 1
    head1x1_active: bool = False
    head1x1_out_channels: int = 1
    head1x1_groups: int = 1
    head_kernel_size: int = 1
    head_bias: bool = False
    head_dilation: int = 1
    films: tuple[FilmSpec, ...] = (FilmSpec(),) * len(FILM_SITES)

    @property
    def accumulator_channels(self) -> int:
        """Width of the skip sum that the array's head reads."""
        return self.head1x1_out_channels if self.head1x1_active else self.bottleneck


@dataclass(frozen=True)
class WaveNetPostHeadSpec:
    """Activation, then convolution, once for each kernel size, after the scaled last head."""

    channels: int
    out_channels: int
    activation: ActivationSpec
    kernel_sizes: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class WaveNetSpec:
    arrays: tuple[WaveNetArraySpec, ...]
    weights: Weights = field(repr=False)
    in_channels: int = 1
    condition: NetworkSpec | None = None
    post_head: WaveNetPostHeadSpec | None = None


@dataclass(frozen=True, eq=False)
class LstmSpec:
    """Weights: per layer W[4H][in+H], bias[4H], h0[H], c0[H] (gates i, f, g, o); then the head."""

    input_size: int
    hidden_size: int
    layer_count: int
    weights: Weights = field(repr=False)
    out_channels: int = 1


@dataclass(frozen=True, eq=False)
class ConvNetSpec:
    channels: int
    dilations: tuple[int, ...]
    batchnorm: bool
    activation: ActivationSpec
    weights: Weights = field(repr=False)
    in_channels: int = 1
    out_channels: int = 1
    groups: int = 1


@dataclass(frozen=True, eq=False)
class LinearSpec:
    """One impulse response (the first weight is "now"), then the bias if there is one."""

    receptive_field: int
    bias: bool
    weights: Weights = field(repr=False)
    in_channels: int = 1
    out_channels: int = 1


@dataclass(frozen=True, eq=False)
class SlimmableSpec:
    """The first network whose `max_value` exceeds the wanted size, else the last."""

    max_values: tuple[float, ...]
    networks: tuple[NetworkSpec, ...]

    def pick(self, size: float = 1.0) -> NetworkSpec:
        """The network that plays at `size` (0 to 1)."""
        for max_value, network in zip(self.max_values, self.networks, strict=True):
            if size < max_value:
                return network
        return self.networks[-1]


@dataclass(frozen=True)
class GainSpec:
    gain_db: float = 0.0


@dataclass(frozen=True, eq=False)
class MixSpec:
    """out = wet * chain(in) + (1 - wet) * in, the dry signal delayed by the chain's latency."""

    wet: float
    chain: ChainSpec


@dataclass(frozen=True, eq=False)
class RateSpec:
    """A chain that runs at a rate of its own, resampled on the way in and out."""

    sample_rate_hz: float
    chain: ChainSpec


@dataclass(frozen=True, eq=False)
class ChainSpec:
    nodes: tuple[NodeSpec, ...] = ()


@dataclass(frozen=True, eq=False)
class ModelSpec:
    """A whole file. `metadata` is what the file says about itself (loudness in dBFS, levels in dBu,
    names); it is shown by `inspect` and not kept in a flat file."""

    chain: ChainSpec
    sample_rate_hz: float = 48_000.0
    name: str = ""
    metadata: Mapping[str, str | float] = field(default_factory=dict)


NetworkSpec = WaveNetSpec | LstmSpec | ConvNetSpec | LinearSpec | SlimmableSpec
NodeSpec = GainSpec | MixSpec | RateSpec | NetworkSpec
