"""A slimmable WaveNet (`slice_channels_uniform`) as the sliced WaveNets that it stands for.

Every sliced map keeps the first output and input channels of the full one, as the format's
reference player does, also of maps whose outputs are two halves (gate, scale and shift).
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from math import floor

import numpy as np

from bunraku.formats import limits
from bunraku.formats.check import check_network, check_range, refuse
from bunraku.formats.layout import Affine, wavenet_affines
from bunraku.formats.specs import (
    ActivationKind,
    ActivationSpec,
    SlimmableSpec,
    WaveNetArraySpec,
    WaveNetLayerSpec,
    WaveNetSpec,
    Weights,
)

USE_WHOLE = "remove 'slimmable' from the layers to use the model at full size"


def slice_wavenet(full: WaveNetSpec, allowed: list[tuple[int, ...]], where: str) -> SlimmableSpec:
    """One network for each size at which some array changes its width.

    `full` is valid. `allowed` holds for each array its allowed numbers of channels, empty where
    the array keeps its width. At size s an array has allowed[floor(s * len(allowed))] channels.
    """
    check_sliceable(full, allowed, where)
    breakpoints = sorted({Fraction(i, len(a)) for a in allowed for i in range(1, len(a))})
    check_range(
        f"{where}: the number of sizes", len(breakpoints) + 1, 1, limits.MAX_SLIMMABLE_SIZES
    )
    networks = []
    for size in [Fraction(0), *breakpoints]:
        widths = [
            choices[min(floor(size * len(choices)), len(choices) - 1)] if choices else a.channels
            for choices, a in zip(allowed, full.arrays, strict=True)
        ]
        network = sliced(full, widths)
        check_network(network, f"{where} sliced to {widths} channels")
        networks.append(network)
    return SlimmableSpec((*map(float, breakpoints), 1.0), tuple(networks))


def check_sliceable(full: WaveNetSpec, allowed: list[tuple[int, ...]], where: str) -> None:
    if full.post_head is not None:
        refuse(f"{where}.head", "present", "cannot be together with slimmable layers", USE_WHOLE)
    for index, (array, choices) in enumerate(zip(full.arrays, allowed, strict=True)):
        here = f"{where}.layers[{index}]"
        if choices and (
            choices[-1] != array.channels
            or choices[0] < 1
            or any(b <= a for a, b in pairwise(choices))
        ):
            refuse(
                f"{here}.slimmable.kwargs.allowed_channels",
                list(choices),
                f"must ascend from 1 or more to channels ({array.channels})",
                USE_WHOLE,
            )
        if array.head_kernel_size != 1:
            refuse(
                f"{here}.head.kernel_size", array.head_kernel_size, "slimming needs 1", USE_WHOLE
            )
        groups = (
            array.groups_input,
            array.groups_input_mixin,
            array.layer1x1_groups,
            array.head1x1_groups,
            *(film.groups for film in array.films),
        )
        if max(groups) != 1:
            refuse(f"{here}: the number of groups", max(groups), "slimming needs 1", USE_WHOLE)


def sliced(full: WaveNetSpec, widths: list[int]) -> WaveNetSpec:
    """`full` with `widths[i]` channels in array i."""
    arrays = []
    for index, (array, width) in enumerate(zip(full.arrays, widths, strict=True)):
        last = index + 1 == len(widths)
        bottleneck = (
            max(1, array.bottleneck * width // array.channels) if array.layer1x1_active else width
        )
        arrays.append(
            replace(
                array,
                input_size=widths[index - 1] if index else array.input_size,
                channels=width,
                bottleneck=bottleneck,
                head_out_channels=array.head_out_channels if last else widths[index + 1],
                layers=tuple(sliced_layer(layer, array, bottleneck) for layer in array.layers),
            )
        )
    slim = replace(full, arrays=tuple(arrays), weights=full.weights)
    return replace(slim, weights=sliced_weights(full, slim))


def sliced_layer(
    layer: WaveNetLayerSpec, array: WaveNetArraySpec, bottleneck: int
) -> WaveNetLayerSpec:
    def fewer_slopes(activation: ActivationSpec) -> ActivationSpec:
        per_channel = (
            activation.kind == ActivationKind.PReLU
            and len(activation.parameters) == array.bottleneck
        )
        if not per_channel:
            return activation
        return ActivationSpec(activation.kind, activation.parameters[:bottleneck])

    return replace(
        layer,
        activation=fewer_slopes(layer.activation),
        secondary_activation=fewer_slopes(layer.secondary_activation),
    )


def sliced_weights(full: WaveNetSpec, slim: WaveNetSpec) -> Weights:
    parts: list[Weights] = []
    position = 0
    for wide, narrow in zip(wavenet_affines(full), wavenet_affines(slim), strict=True):
        block = full.weights[position : position + wide.weight_count]
        position += wide.weight_count
        parts += sliced_affine(block, wide, narrow)
    parts.append(full.weights[position:])
    weights = np.concatenate(parts)
    weights.flags.writeable = False
    return weights


def sliced_affine(block: Weights, wide: Affine, narrow: Affine) -> list[Weights]:
    matrix = block[: wide.matrix_count].reshape(
        wide.out_channels, wide.in_channels, wide.kernel_size
    )
    parts = [matrix[: narrow.out_channels, : narrow.in_channels].ravel()]
    if wide.bias:
        parts.append(block[wide.matrix_count :][: narrow.out_channels])
    return parts
