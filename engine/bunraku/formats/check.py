"""Is a network within the limits and consistent? The one answer, whichever file it came from.

Every function raises ModelFormatError naming the place, the value, the allowed range, the remedy.
"""

from __future__ import annotations

from typing import NoReturn

import numpy as np

from bunraku.errors import ModelFormatError
from bunraku.formats import limits
from bunraku.formats.layout import (
    Affine,
    array_affines,
    history_floats,
    in_channels,
    inner_networks,
    out_channels,
    receptive_field_frames,
    wavenet_affines,
    weight_count,
)
from bunraku.formats.specs import (
    FILM_SITES,
    ActivationKind,
    ActivationSpec,
    ConvNetSpec,
    FilmSpec,
    GatingMode,
    LinearSpec,
    LstmSpec,
    NetworkSpec,
    SlimmableSpec,
    WaveNetArraySpec,
    WaveNetPostHeadSpec,
    WaveNetSpec,
)

FLOAT32_MAX = float(np.finfo(np.float32).max)
EXPORT_AGAIN = "export the model again from its trainer"


def refuse(where: str, value: object, allowed: str, remedy: str = EXPORT_AGAIN) -> NoReturn:
    """Raise ModelFormatError: '{where} is {value}: {allowed}; {remedy}'."""
    shown = repr(value)
    if len(shown) > 60:
        shown = f"{shown[:57]}..."
    raise ModelFormatError(f"{where} is {shown}: {allowed}; {remedy}")


def check_range(where: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        refuse(where, value, f"allowed is {low:,} to {high:,}")


def check_network(spec: NetworkSpec, where: str, depth: int = 1) -> None:
    """Check `spec` and every network inside it; `depth` counts how deep it is nested."""
    if depth > limits.MAX_NESTING:
        refuse(where, f"nested {depth} deep", f"allowed is at most {limits.MAX_NESTING}")
    for inner in inner_networks(spec):
        check_network(inner, f"{where} (inner network)", depth + 1)
    match spec:
        case WaveNetSpec():
            check_wavenet(spec, where)
        case ConvNetSpec():
            check_convnet(spec, where)
        case LstmSpec():
            check_lstm(spec, where)
        case LinearSpec():
            check_linear(spec, where)
        case SlimmableSpec():
            check_slimmable(spec, where)
    if not isinstance(spec, SlimmableSpec):
        check_weights(spec, where)
    check_history(history_floats(spec), where)
    reach = receptive_field_frames(spec)
    if reach is not None:
        check_range(f"{where}: the receptive field", reach, 1, limits.MAX_RECEPTIVE_FIELD)


def check_history(count: int, where: str) -> None:
    if count > limits.MAX_HISTORY_FLOATS:
        refuse(
            f"{where}: what a voice remembers, in numbers",
            count,
            f"allowed are up to {limits.MAX_HISTORY_FLOATS:,}",
            "use fewer channels or smaller dilations",
        )


def check_weights(spec: WaveNetSpec | ConvNetSpec | LstmSpec | LinearSpec, where: str) -> None:
    needed = weight_count(spec)
    if spec.weights.shape != (needed,):
        refuse(f"{where}: the number of weights", spec.weights.size, f"this shape needs {needed:,}")
    finite = np.isfinite(spec.weights)
    if not finite.all():
        index = int(np.argmin(finite))
        refuse(f"{where}: weights[{index}]", float(spec.weights[index]), "must be a finite float32")


def check_activation(spec: ActivationSpec, channels: int, where: str) -> None:
    """`channels`: how many channels the activation sees (PReLU may have a slope for each)."""
    allowed = {
        ActivationKind.LeakyReLU: {1},
        ActivationKind.PReLU: {1, channels},
        ActivationKind.LeakyHardtanh: {4},
    }.get(spec.kind, {0})
    if len(spec.parameters) not in allowed:
        counts = " or ".join(str(count) for count in sorted(allowed))
        refuse(
            f"{where}: the number of {spec.kind.name} parameters",
            len(spec.parameters),
            f"must be {counts}",
        )
    for value in spec.parameters:
        if not abs(value) <= FLOAT32_MAX:
            refuse(f"{where}: a {spec.kind.name} parameter", value, "must be a finite float32")


def check_groups(affine: Affine, where: str) -> None:
    check_range(f"{where}: groups of {affine.name}", affine.groups, 1, limits.MAX_CHANNELS)
    for side, channels in (("input", affine.in_channels), ("output", affine.out_channels)):
        if channels % affine.groups:
            refuse(
                f"{where}: groups of {affine.name}",
                affine.groups,
                f"must divide its {channels} {side} channels",
            )


def check_wavenet(spec: WaveNetSpec, where: str) -> None:
    check_range(f"{where}.in_channels", spec.in_channels, 1, limits.MAX_CHANNELS)
    check_range(f"{where}: the number of layer arrays", len(spec.arrays), 1, limits.MAX_ARRAYS)
    condition_size = spec.in_channels
    if spec.condition is not None:
        condition_size = out_channels(spec.condition)
        if in_channels(spec.condition) != spec.in_channels:
            refuse(
                f"{where}.condition_dsp: its number of input channels",
                in_channels(spec.condition),
                f"must be {spec.in_channels}, the in_channels of the WaveNet",
            )
    for index, array in enumerate(spec.arrays):
        here = f"{where}.layers[{index}]"
        check_array(array, here)
        if array.condition_size != condition_size:
            refuse(
                f"{here}.condition_size",
                array.condition_size,
                f"must be {condition_size}, the channels of the conditioning signal",
            )
        check_array_joins(array, spec.arrays[index - 1] if index else None, spec, here)
    if spec.post_head is not None:
        check_post_head(spec.post_head, spec.arrays[-1].head_out_channels, f"{where}.head")
    for affine in wavenet_affines(spec):
        check_groups(affine, where)


def check_array_joins(
    array: WaveNetArraySpec, previous: WaveNetArraySpec | None, spec: WaveNetSpec, here: str
) -> None:
    wanted = spec.in_channels if previous is None else previous.channels
    if array.input_size != wanted:
        refuse(f"{here}.input_size", array.input_size, f"must be {wanted}, what comes before it")
    if previous is None:
        return
    skip = previous.head_out_channels
    if array.channels != skip or array.accumulator_channels != skip:
        refuse(
            f"{here}: channels and width of its skip sum",
            (array.channels, array.accumulator_channels),
            f"both must be {skip}, the head size of the array before",
        )


def check_array(array: WaveNetArraySpec, here: str) -> None:
    sizes = {
        "input_size": array.input_size,
        "condition_size": array.condition_size,
        "channels": array.channels,
        "bottleneck": array.bottleneck,
        "head_size": array.head_out_channels,
        "head1x1.out_channels": array.head1x1_out_channels,
    }
    for name, value in sizes.items():
        check_range(f"{here}.{name}", value, 1, limits.MAX_CHANNELS)
    check_range(f"{here}.head.kernel_size", array.head_kernel_size, 1, limits.MAX_KERNEL_SIZE)
    check_range(f"{here}.head.head_dilation", array.head_dilation, 1, limits.MAX_DILATION)
    check_range(f"{here}: the number of dilations", len(array.layers), 1, limits.MAX_LAYERS)
    if not array.layer1x1_active and array.bottleneck != array.channels:
        refuse(
            f"{here}.bottleneck",
            array.bottleneck,
            f"must equal channels ({array.channels}) where layer1x1 is not active",
        )
    check_films(array, here)
    for index, layer in enumerate(array.layers):
        check_range(f"{here}.kernel_sizes[{index}]", layer.kernel_size, 1, limits.MAX_KERNEL_SIZE)
        check_range(f"{here}.dilations[{index}]", layer.dilation, 1, limits.MAX_DILATION)
        check_activation(layer.activation, array.bottleneck, f"{here}.activation[{index}]")
        if layer.gating != GatingMode.none:
            check_activation(
                layer.secondary_activation,
                array.bottleneck,
                f"{here}.secondary_activation[{index}]",
            )
    for affine in array_affines(array, ""):
        check_groups(affine, here)


def check_films(array: WaveNetArraySpec, here: str) -> None:
    films: dict[str, FilmSpec] = dict(zip(FILM_SITES, array.films, strict=True))
    needs = {
        "layer1x1_post_film": ("layer1x1", array.layer1x1_active),
        "head1x1_post_film": ("head1x1", array.head1x1_active),
    }
    for site, (part, active) in needs.items():
        if films[site].active and not active:
            refuse(f"{here}.{site}", "active", f"cannot be where {part} is not active")


def check_post_head(head: WaveNetPostHeadSpec, width: int, where: str) -> None:
    check_range(f"{where}.channels", head.channels, 1, limits.MAX_CHANNELS)
    check_range(f"{where}.out_channels", head.out_channels, 1, limits.MAX_CHANNELS)
    count = len(head.kernel_sizes)
    check_range(f"{where}: the number of kernel_sizes", count, 1, limits.MAX_POST_HEAD_LAYERS)
    for index, kernel_size in enumerate(head.kernel_sizes):
        check_range(f"{where}.kernel_sizes[{index}]", kernel_size, 1, limits.MAX_KERNEL_SIZE)
        check_activation(head.activation, width, f"{where}.activation")
        width = head.channels


def check_convnet(spec: ConvNetSpec, where: str) -> None:
    for name in ("in_channels", "out_channels", "channels", "groups"):
        check_range(f"{where}.{name}", getattr(spec, name), 1, limits.MAX_CHANNELS)
    check_range(f"{where}: the number of dilations", len(spec.dilations), 1, limits.MAX_LAYERS)
    for index, dilation in enumerate(spec.dilations):
        check_range(f"{where}.dilations[{index}]", dilation, 1, limits.MAX_DILATION)
    for name in ("in_channels", "channels"):
        if getattr(spec, name) % spec.groups:
            refuse(f"{where}.groups", spec.groups, f"must divide {name} ({getattr(spec, name)})")
    check_activation(spec.activation, spec.channels, f"{where}.activation")
    if spec.batchnorm and spec.weights.size == weight_count(spec):
        check_batchnorms(spec, where)


def check_batchnorms(spec: ConvNetSpec, where: str) -> None:
    """Variance + epsilon must be positive: its square root divides."""
    position = 0
    for index in range(len(spec.dilations)):
        inputs = spec.in_channels if index == 0 else spec.channels
        position += 2 * spec.channels * (inputs // spec.groups)
        norm = spec.weights[position : position + 4 * spec.channels + 1]
        position += norm.size
        lowest = float(norm[spec.channels : 2 * spec.channels].min() + norm[-1])
        if not lowest > 0.0:
            refuse(
                f"{where}: variance + epsilon of batch norm {index}", lowest, "must be above zero"
            )


def check_lstm(spec: LstmSpec, where: str) -> None:
    check_range(f"{where}.input_size", spec.input_size, 1, limits.MAX_CHANNELS)
    check_range(f"{where}.hidden_size", spec.hidden_size, 1, limits.MAX_LSTM_HIDDEN)
    check_range(f"{where}.num_layers", spec.layer_count, 1, limits.MAX_LSTM_LAYERS)
    check_range(f"{where}.out_channels", spec.out_channels, 1, limits.MAX_CHANNELS)


def check_linear(spec: LinearSpec, where: str) -> None:
    check_range(f"{where}.in_channels", spec.in_channels, 1, limits.MAX_CHANNELS)
    check_range(f"{where}.out_channels", spec.out_channels, 1, limits.MAX_CHANNELS)
    check_range(f"{where}.receptive_field", spec.receptive_field, 1, limits.MAX_LINEAR_TAPS)


def check_slimmable(spec: SlimmableSpec, where: str) -> None:
    check_range(f"{where}: the number of sizes", len(spec.networks), 1, limits.MAX_SLIMMABLE_SIZES)
    last = np.float32(-np.inf)
    for index, max_value in enumerate(spec.max_values):
        here = f"{where}.submodels[{index}].max_value"
        if not abs(max_value) <= FLOAT32_MAX or not np.float32(max_value) > last:
            refuse(here, max_value, "must be a finite float32 and ascending")
        last = np.float32(max_value)
    if last < 1.0:
        refuse(f"{where}: the last max_value", spec.max_values[-1], "must be 1 or more")
    shapes = {(in_channels(network), out_channels(network)) for network in spec.networks}
    if len(shapes) > 1:
        refuse(f"{where}: (input, output) channels of the sizes", sorted(shapes), "must all agree")
