"""Which weights a network needs, in which order, and what follows from that: counts, costs, reach.

One list of affine maps describes a network to all who need its shape: the reader that counts
weights, the slicing of slimmable networks, the PyTorch references and the reports.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bunraku.formats.specs import (
    FILM_SITES,
    ConvNetSpec,
    GatingMode,
    LinearSpec,
    LstmSpec,
    NetworkSpec,
    SlimmableSpec,
    WaveNetArraySpec,
    WaveNetLayerSpec,
    WaveNetSpec,
)


@dataclass(frozen=True)
class Affine:
    """A causal convolution: weights [out][in / groups][kernel] (last tap "now"), then bias.

    The `.nam` format stores groups one after the other, which is this very order.
    """

    name: str
    in_channels: int
    out_channels: int
    bias: bool
    kernel_size: int = 1
    dilation: int = 1
    groups: int = 1

    @property
    def matrix_count(self) -> int:
        """Weights that multiply."""
        return self.out_channels * (self.in_channels // self.groups) * self.kernel_size

    @property
    def weight_count(self) -> int:
        return self.matrix_count + (self.out_channels if self.bias else 0)

    @property
    def reach_frames(self) -> int:
        """How many frames before "now" it reads."""
        return (self.kernel_size - 1) * self.dilation


def layer_affines(array: WaveNetArraySpec, layer: WaveNetLayerSpec, prefix: str) -> list[Affine]:
    """The affine maps of one WaveNet layer, in the order of the weights."""
    wide = array.bottleneck * (1 if layer.gating == GatingMode.none else 2)
    affines = [
        Affine(
            f"{prefix}conv",
            array.channels,
            wide,
            True,
            layer.kernel_size,
            layer.dilation,
            array.groups_input,
        ),
        Affine(
            f"{prefix}input_mixin",
            array.condition_size,
            wide,
            False,
            groups=array.groups_input_mixin,
        ),
    ]
    if array.layer1x1_active:
        affines.append(
            Affine(
                f"{prefix}layer1x1",
                array.bottleneck,
                array.channels,
                True,
                groups=array.layer1x1_groups,
            )
        )
    if array.head1x1_active:
        affines.append(
            Affine(
                f"{prefix}head1x1",
                array.bottleneck,
                array.head1x1_out_channels,
                True,
                groups=array.head1x1_groups,
            )
        )
    widths = (
        array.channels,
        wide,
        array.condition_size,
        wide,
        wide,
        array.bottleneck,
        array.channels,
        array.head1x1_out_channels,
    )
    for site, film, width in zip(FILM_SITES, array.films, widths, strict=True):
        if film.active:
            out_channels = width * (2 if film.shift else 1)
            affines.append(
                Affine(
                    f"{prefix}{site}", array.condition_size, out_channels, True, groups=film.groups
                )
            )
    return affines


def array_affines(array: WaveNetArraySpec, prefix: str) -> list[Affine]:
    affines = [Affine(f"{prefix}rechannel", array.input_size, array.channels, False)]
    for index, layer in enumerate(array.layers):
        affines += layer_affines(array, layer, f"{prefix}layers.{index}.")
    affines.append(
        Affine(
            f"{prefix}head",
            array.accumulator_channels,
            array.head_out_channels,
            array.head_bias,
            array.head_kernel_size,
            array.head_dilation,
        )
    )
    return affines


def wavenet_affines(spec: WaveNetSpec) -> list[Affine]:
    """All affine maps of a WaveNet in weight order; one float, head_scale, follows them."""
    affines = []
    for index, array in enumerate(spec.arrays):
        affines += array_affines(array, f"arrays.{index}.")
    if spec.post_head is not None:
        head = spec.post_head
        width = spec.arrays[-1].head_out_channels
        for index, kernel_size in enumerate(head.kernel_sizes):
            last = index + 1 == len(head.kernel_sizes)
            out_channels = head.out_channels if last else head.channels
            affines.append(Affine(f"post_head.{index}", width, out_channels, True, kernel_size))
            width = out_channels
    return affines


def convnet_affines(spec: ConvNetSpec) -> list[Affine]:
    """The blocks (with batch norm, its 4 x channels + 1 floats follow each), then the head."""
    blocks = [
        Affine(
            f"blocks.{index}",
            spec.in_channels if index == 0 else spec.channels,
            spec.channels,
            not spec.batchnorm,
            2,
            dilation,
            spec.groups,
        )
        for index, dilation in enumerate(spec.dilations)
    ]
    return [*blocks, Affine("head", spec.channels, spec.out_channels, True)]


def lstm_affines(spec: LstmSpec) -> list[Affine]:
    """Per layer the gates (h0 and c0, 2 x hidden floats, follow each), then the head."""
    hidden = spec.hidden_size
    layers = [
        Affine(
            f"layers.{index}",
            (spec.input_size if index == 0 else hidden) + hidden,
            4 * hidden,
            True,
        )
        for index in range(spec.layer_count)
    ]
    return [*layers, Affine("head", hidden, spec.out_channels, True)]


def weight_count(spec: NetworkSpec) -> int:
    """Floats in the network's own list of weights (a condition network has its own list)."""
    match spec:
        case WaveNetSpec():
            return sum(a.weight_count for a in wavenet_affines(spec)) + 1
        case ConvNetSpec():
            norms = len(spec.dilations) * (4 * spec.channels + 1) if spec.batchnorm else 0
            return sum(a.weight_count for a in convnet_affines(spec)) + norms
        case LstmSpec():
            states = spec.layer_count * 2 * spec.hidden_size
            return sum(a.weight_count for a in lstm_affines(spec)) + states
        case LinearSpec():
            return spec.receptive_field + int(spec.bias)
        case SlimmableSpec():
            return 0


def total_weight_count(spec: NetworkSpec) -> int:
    """Floats of the network and of all networks inside it."""
    return weight_count(spec) + sum(total_weight_count(inner) for inner in inner_networks(spec))


def inner_networks(spec: NetworkSpec) -> Iterator[NetworkSpec]:
    """The networks directly inside this one: a condition network, the sizes of a slimmable."""
    if isinstance(spec, SlimmableSpec):
        yield from spec.networks
    elif isinstance(spec, WaveNetSpec) and spec.condition is not None:
        yield spec.condition


def in_channels(spec: NetworkSpec) -> int:
    if isinstance(spec, SlimmableSpec):
        return in_channels(spec.networks[-1])
    return spec.input_size if isinstance(spec, LstmSpec) else spec.in_channels


def out_channels(spec: NetworkSpec) -> int:
    if isinstance(spec, SlimmableSpec):
        return out_channels(spec.networks[-1])
    if isinstance(spec, WaveNetSpec):
        head = spec.post_head
        return head.out_channels if head is not None else spec.arrays[-1].head_out_channels
    return spec.out_channels


def receptive_field_frames(spec: NetworkSpec) -> int | None:
    """Input frames that one output frame depends on; None where there is no end (LSTM). Of a
    slimmable network, that of its full size."""
    match spec:
        case WaveNetSpec():
            reach = sum(a.reach_frames for a in wavenet_affines(spec))
            if spec.condition is None:
                return 1 + reach
            before = receptive_field_frames(spec.condition)
            return None if before is None else before + reach
        case ConvNetSpec():
            return 1 + sum(spec.dilations)
        case LinearSpec():
            return spec.receptive_field
        case LstmSpec():
            return None
        case SlimmableSpec():
            return receptive_field_frames(spec.networks[-1])


def history_floats(spec: NetworkSpec) -> int:
    """What one voice remembers of the past, in floats. Of a slimmable, that of its largest size."""
    match spec:
        case WaveNetSpec():
            own = sum(a.in_channels * a.reach_frames for a in wavenet_affines(spec))
            return own + (history_floats(spec.condition) if spec.condition is not None else 0)
        case ConvNetSpec():
            return sum(a.in_channels * a.reach_frames for a in convnet_affines(spec))
        case LinearSpec():
            return spec.receptive_field * min(spec.in_channels, spec.out_channels)
        case LstmSpec():
            return 2 * spec.hidden_size * spec.layer_count
        case SlimmableSpec():
            return max(history_floats(network) for network in spec.networks)


def flop_per_frame(spec: NetworkSpec) -> float:
    """Multiplications and additions by weights, two for each; biases, activations and sums are not
    counted (the field's convention). Of a slimmable network, that of its full size."""
    match spec:
        case WaveNetSpec():
            own = 2.0 * sum(a.matrix_count for a in wavenet_affines(spec))
            return own + (flop_per_frame(spec.condition) if spec.condition is not None else 0.0)
        case ConvNetSpec():
            return 2.0 * sum(a.matrix_count for a in convnet_affines(spec))
        case LstmSpec():
            return 2.0 * sum(a.matrix_count for a in lstm_affines(spec))
        case LinearSpec():
            return 2.0 * spec.receptive_field * min(spec.in_channels, spec.out_channels)
        case SlimmableSpec():
            return flop_per_frame(spec.networks[-1])
