"""Write a `.nam` file that any player of the format reads: what training ends in.

A shape that the oldest versions can say is written with their keys and as version 0.5.4; a newer
one as 0.7.0. Weights are the shortest decimal that reads back as the same float32.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from bunraku.errors import UserInputError
from bunraku.formats.check import check_network
from bunraku.formats.specs import (
    FILM_SITES,
    ActivationKind,
    ActivationSpec,
    ConvNetSpec,
    FilmSpec,
    GatingMode,
    LinearSpec,
    LstmSpec,
    ModelSpec,
    NetworkSpec,
    SlimmableSpec,
    WaveNetArraySpec,
    WaveNetSpec,
    Weights,
)

OLD_VERSION, NEW_VERSION = "0.5.4", "0.7.0"
OLD_ACTIVATIONS = {ActivationKind.Tanh, ActivationKind.ReLU, ActivationKind.Sigmoid}
PARAMETER_NAMES = {
    ActivationKind.LeakyReLU: ("negative_slope",),
    ActivationKind.LeakyHardtanh: ("min_val", "max_val", "min_slope", "max_slope"),
}


def write_nam(spec: ModelSpec, details: Mapping[str, Any] | None = None) -> bytes:
    """The bytes of a `.nam` file of `spec`, whose chain must be one network.

    `details`: further metadata that a spec does not keep, of any JSON type (date, training).

    Raises UserInputError for another chain, ModelFormatError for a network beyond the limits.
    """
    nodes = spec.chain.nodes
    if len(nodes) != 1 or not isinstance(nodes[0], NetworkSpec):
        kinds = ", ".join(type(node).__name__.removesuffix("Spec") for node in nodes) or "nothing"
        raise UserInputError(
            f"a .nam file holds exactly one network, this chain has {kinds}: "
            "write it as a flat file (.bnk) instead"
        )
    check_network(nodes[0], "the network")
    named = {"name": spec.name} if spec.name else {}
    text = model_text(nodes[0], spec.sample_rate_hz, {**named, **spec.metadata, **(details or {})})
    return f"{text}\n".encode()


def model_text(spec: NetworkSpec, rate: float, metadata: dict[str, Any] | None = None) -> str:
    """JSON of one model object, weights written compactly."""
    new = needs_new_version(spec)
    parts = {
        "version": json.dumps(NEW_VERSION if new else OLD_VERSION),
        "metadata": json.dumps(metadata or {}),
        "architecture": json.dumps(architecture(spec)),
        "config": config_text(spec, rate, new),
        "weights": weights_text(spec),
        "sample_rate": json.dumps(int(rate) if rate == int(rate) else rate),
    }
    return object_text(parts)


def object_text(parts: dict[str, str]) -> str:
    return "{" + ", ".join(f"{json.dumps(key)}: {text}" for key, text in parts.items()) + "}"


def weights_text(spec: NetworkSpec) -> str:
    values: Weights = np.zeros(0, np.float32) if isinstance(spec, SlimmableSpec) else spec.weights
    return "[" + ", ".join(map(str, np.asarray(values, np.float32))) + "]"


def architecture(spec: NetworkSpec) -> str:
    names: dict[type, str] = {
        WaveNetSpec: "WaveNet",
        LstmSpec: "LSTM",
        ConvNetSpec: "ConvNet",
        LinearSpec: "Linear",
        SlimmableSpec: "SlimmableContainer",
    }
    return names[type(spec)]


def needs_new_version(spec: NetworkSpec) -> bool:
    """Whether the shape cannot be said with the keys of version 0.5."""
    match spec:
        case WaveNetSpec():
            whole = spec.condition is None and spec.post_head is None and spec.in_channels == 1
            return not (whole and all(is_old_array(array) for array in spec.arrays))
        case SlimmableSpec():
            return True
        case ConvNetSpec():
            return spec.groups != 1 or spec.activation.kind not in OLD_ACTIVATIONS
        case _:
            return False


def is_old_array(array: WaveNetArraySpec) -> bool:
    first = array.layers[0]
    plain = WaveNetArraySpec(
        input_size=array.input_size,
        condition_size=array.condition_size,
        channels=array.channels,
        bottleneck=array.channels,
        head_out_channels=array.head_out_channels,
        head_bias=array.head_bias,
        head1x1_out_channels=array.head1x1_out_channels,
        layers=array.layers,
    )
    return (
        array == plain
        and first.activation.kind in OLD_ACTIVATIONS
        and first.gating != GatingMode.blended
        and (first.gating == GatingMode.none or is_sigmoid(first.secondary_activation))
        and all(
            (layer.kernel_size, layer.activation, layer.gating, layer.secondary_activation)
            == (first.kernel_size, first.activation, first.gating, first.secondary_activation)
            for layer in array.layers
        )
    )


def is_sigmoid(spec: ActivationSpec) -> bool:
    return spec.kind == ActivationKind.Sigmoid


def activation_json(spec: ActivationSpec) -> Any:
    """A bare name where there are no parameters: every version reads it."""
    values = [float(str(np.float32(value))) for value in spec.parameters]
    if spec.kind == ActivationKind.PReLU:
        if len(values) == 1:
            return {"type": spec.kind.name, "negative_slope": values[0]}
        return {"type": spec.kind.name, "negative_slopes": values}
    if spec.kind in PARAMETER_NAMES:
        names = PARAMETER_NAMES[spec.kind]
        return {"type": spec.kind.name, **dict(zip(names, values, strict=True))}
    return spec.kind.name


def config_text(spec: NetworkSpec, rate: float, new: bool) -> str:
    match spec:
        case WaveNetSpec():
            return wavenet_text(spec, rate, new)
        case SlimmableSpec():
            sizes = zip(spec.max_values, spec.networks, strict=True)
            items = [
                object_text({"max_value": json.dumps(m), "model": model_text(n, rate)})
                for m, n in sizes
            ]
            return object_text({"submodels": f"[{', '.join(items)}]"})
        case LstmSpec():
            config: dict[str, Any] = {
                "input_size": spec.input_size,
                "hidden_size": spec.hidden_size,
                "num_layers": spec.layer_count,
            }
            return json.dumps(config | channels_json(spec.input_size, spec.out_channels))
        case ConvNetSpec():
            config = {
                "channels": spec.channels,
                "dilations": list(spec.dilations),
                "batchnorm": spec.batchnorm,
                "activation": activation_json(spec.activation),
            }
            config |= {"groups": spec.groups} if spec.groups != 1 else {}
            return json.dumps(config | channels_json(spec.in_channels, spec.out_channels))
        case LinearSpec():
            config = {"receptive_field": spec.receptive_field, "bias": spec.bias}
            return json.dumps(config | channels_json(spec.in_channels, spec.out_channels))


def channels_json(in_channels: int, out_channels: int) -> dict[str, int]:
    """Left out where they are 1, the default that every version has."""
    counts = {"in_channels": in_channels, "out_channels": out_channels}
    return {key: count for key, count in counts.items() if count != 1}


def wavenet_text(spec: WaveNetSpec, rate: float, new: bool) -> str:
    arrays = [array_json(a) if new else old_array_json(a) for a in spec.arrays]
    parts = {}
    if spec.in_channels != 1:
        parts["in_channels"] = json.dumps(spec.in_channels)
    if spec.condition is not None:
        parts["condition_dsp"] = model_text(spec.condition, rate)
    parts["layers"] = json.dumps(arrays)
    head = spec.post_head
    parts["head"] = json.dumps(
        head
        and {
            "channels": head.channels,
            "out_channels": head.out_channels,
            "kernel_sizes": list(head.kernel_sizes),
            "activation": activation_json(head.activation),
        }
    )
    parts["head_scale"] = str(np.float32(spec.weights[-1]))
    return object_text(parts)


def old_array_json(array: WaveNetArraySpec) -> dict[str, Any]:
    first = array.layers[0]
    return {
        "input_size": array.input_size,
        "condition_size": array.condition_size,
        "head_size": array.head_out_channels,
        "channels": array.channels,
        "kernel_size": first.kernel_size,
        "dilations": [layer.dilation for layer in array.layers],
        "activation": activation_json(first.activation),
        "gated": first.gating == GatingMode.gated,
        "head_bias": array.head_bias,
    }


def array_json(array: WaveNetArraySpec) -> dict[str, Any]:
    return {
        "input_size": array.input_size,
        "condition_size": array.condition_size,
        "head": {
            "out_channels": array.head_out_channels,
            "kernel_size": array.head_kernel_size,
            "bias": array.head_bias,
            "head_dilation": array.head_dilation,
        },
        "channels": array.channels,
        "kernel_sizes": [layer.kernel_size for layer in array.layers],
        "dilations": [layer.dilation for layer in array.layers],
        "activation": [activation_json(layer.activation) for layer in array.layers],
        "bottleneck": array.bottleneck,
        "head1x1": {
            "active": array.head1x1_active,
            "out_channels": array.head1x1_out_channels,
            "groups": array.head1x1_groups,
        },
        "layer1x1": {"active": array.layer1x1_active, "groups": array.layer1x1_groups},
        "groups_input": array.groups_input,
        "groups_input_mixin": array.groups_input_mixin,
        **{s: film_json(f) for s, f in zip(FILM_SITES, array.films, strict=True)},
        "gating_mode": [layer.gating.name for layer in array.layers],
        "secondary_activation": [
            None if layer.gating == GatingMode.none else activation_json(layer.secondary_activation)
            for layer in array.layers
        ],
    }


def film_json(film: FilmSpec) -> dict[str, Any]:
    return {"active": film.active, "shift": film.shift, "groups": film.groups}
