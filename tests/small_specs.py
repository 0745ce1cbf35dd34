"""Small networks made in the tests: one for each feature of the format, weights from a seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from bunraku.formats.layout import weight_count
from bunraku.formats.specs import (
    FILM_SITES,
    ActivationKind,
    ActivationSpec,
    ChainSpec,
    ConvNetSpec,
    FilmSpec,
    GatingMode,
    LinearSpec,
    LstmSpec,
    ModelSpec,
    NetworkSpec,
    SlimmableSpec,
    WaveNetArraySpec,
    WaveNetLayerSpec,
    WaveNetPostHeadSpec,
    WaveNetSpec,
)

NO_WEIGHTS = np.zeros(0, np.float32)
PARAMETERS = {
    ActivationKind.LeakyReLU: (0.05,),
    ActivationKind.PReLU: (0.25,),
    ActivationKind.LeakyHardtanh: (-0.4, 0.3, 0.05, 0.1),
}


def with_weights(spec: NetworkSpec, seed: int = 1) -> NetworkSpec:
    """`spec` with as many random weights as it needs."""
    if isinstance(spec, SlimmableSpec):
        return spec
    weights = np.random.default_rng(seed).normal(0.0, 0.35, weight_count(spec))
    weights = weights.astype(np.float32)
    if isinstance(spec, ConvNetSpec) and spec.batchnorm:
        weights = np.abs(weights)  # variances
    weights.flags.writeable = False
    return replace(spec, weights=weights)


def activation(kind: ActivationKind) -> ActivationSpec:
    return ActivationSpec(kind, PARAMETERS.get(kind, ()))


def layers(
    dilations: tuple[int, ...] = (1, 3),
    kernel_size: int = 3,
    kind: ActivationKind = ActivationKind.Tanh,
    gating: GatingMode = GatingMode.none,
    secondary: ActivationKind = ActivationKind.Sigmoid,
) -> tuple[WaveNetLayerSpec, ...]:
    second = ActivationSpec() if gating == GatingMode.none else activation(secondary)
    return tuple(
        WaveNetLayerSpec(kernel_size, dilation, gating, activation(kind), second)
        for dilation in dilations
    )


ARRAY = WaveNetArraySpec(
    input_size=1, condition_size=1, channels=4, bottleneck=4, head_out_channels=1, layers=layers()
)
LAST_ARRAY = replace(ARRAY, input_size=4, channels=2, bottleneck=2, head_bias=True)


def wavenet(*arrays: WaveNetArraySpec, **changes: object) -> WaveNetSpec:
    spec = with_weights(WaveNetSpec(arrays or (ARRAY,), NO_WEIGHTS, **changes))  # type: ignore[arg-type]
    assert isinstance(spec, WaveNetSpec)
    return spec


def with_film(site: str, shift: bool, gating: GatingMode) -> WaveNetSpec:
    films = tuple(FilmSpec(name == site, name == site and shift, 1) for name in FILM_SITES)
    array = replace(
        ARRAY,
        films=films,
        head1x1_active=True,
        head1x1_out_channels=3,
        layers=layers(gating=gating),
    )
    return wavenet(array)


def film_networks() -> dict[str, NetworkSpec]:
    return {
        f"{site} {'shift' if shift else 'scale'} {gating.name}": with_film(site, shift, gating)
        for site in FILM_SITES
        for shift, gating in (
            (True, GatingMode.none),
            (False, GatingMode.gated),
            (True, GatingMode.blended),
        )
    }


def activation_networks() -> dict[str, NetworkSpec]:
    networks: dict[str, NetworkSpec] = {
        f"activation {kind.name}": wavenet(replace(ARRAY, layers=layers(kind=kind)))
        for kind in ActivationKind
    }
    slopes = ActivationSpec(ActivationKind.PReLU, (0.1, 0.2, 0.3, 0.4))
    per_channel = tuple(replace(layer, activation=slopes) for layer in layers())
    networks["activation PReLU per channel"] = wavenet(replace(ARRAY, layers=per_channel))
    return networks


def shape_networks() -> dict[str, NetworkSpec]:
    grouped = replace(
        ARRAY,
        groups_input=2,
        layer1x1_groups=4,
        head1x1_active=True,
        head1x1_out_channels=2,
        head1x1_groups=2,
    )
    conditioned = replace(ARRAY, condition_size=2, groups_input_mixin=2)
    condition = wavenet(replace(ARRAY, head_out_channels=2))
    lstm_condition = with_weights(LstmSpec(1, 3, 1, NO_WEIGHTS, out_channels=2))
    post_head = WaveNetPostHeadSpec(3, 1, activation(ActivationKind.ReLU), (2, 3))
    return {
        "two arrays": wavenet(replace(ARRAY, head_out_channels=2), LAST_ARRAY),
        "gated": wavenet(replace(ARRAY, layers=layers(gating=GatingMode.gated))),
        "blended": wavenet(replace(ARRAY, layers=layers(gating=GatingMode.blended))),
        "groups": wavenet(grouped),
        "bottleneck": wavenet(replace(ARRAY, bottleneck=2)),
        "no layer1x1": wavenet(replace(ARRAY, layer1x1_active=False)),
        "head kernel": wavenet(replace(ARRAY, head_kernel_size=5, head_dilation=2, head_bias=True)),
        "post head": wavenet(replace(ARRAY, head_out_channels=2), post_head=post_head),
        "condition": wavenet(conditioned, condition=condition),
        "condition lstm": wavenet(conditioned, condition=lstm_condition),
        "kernel sizes": wavenet(replace(ARRAY, layers=layers(kernel_size=6) + layers((2,), 1))),
    }


def other_networks() -> dict[str, NetworkSpec]:
    relu = activation(ActivationKind.ReLU)
    plain = ConvNetSpec(4, (1, 2, 4), False, relu, NO_WEIGHTS)
    lstm = with_weights(LstmSpec(1, 3, 1, NO_WEIGHTS))
    return {
        "lstm": lstm,
        "lstm stacked": with_weights(LstmSpec(1, 4, 3, NO_WEIGHTS)),
        "convnet": with_weights(plain),
        "convnet batchnorm": with_weights(replace(plain, batchnorm=True)),
        "linear": with_weights(LinearSpec(37, False, NO_WEIGHTS)),
        "linear bias": with_weights(LinearSpec(1, True, NO_WEIGHTS)),
        "slimmable": SlimmableSpec((0.5, 1.0), (lstm, wavenet())),
    }


def mono_networks() -> dict[str, NetworkSpec]:
    """All small networks with one input and one output, by name."""
    return film_networks() | activation_networks() | shape_networks() | other_networks()


def many_channel_networks() -> dict[str, NetworkSpec]:
    """Those that only stand inside others."""
    sigmoid = activation(ActivationKind.Sigmoid)
    stereo = replace(ARRAY, input_size=2, condition_size=2, head_out_channels=3)
    return {
        "wavenet 2 to 3": wavenet(stereo, in_channels=2),
        "lstm 2 to 3": with_weights(LstmSpec(2, 3, 2, NO_WEIGHTS, out_channels=3)),
        "convnet groups 2 to 3": with_weights(
            ConvNetSpec(4, (1, 2), True, sigmoid, NO_WEIGHTS, 2, 3, groups=2)
        ),
        "linear 2 to 3": with_weights(LinearSpec(9, True, NO_WEIGHTS, 2, 3)),
    }


def as_model(network: NetworkSpec, name: str = "small") -> ModelSpec:
    return ModelSpec(ChainSpec((network,)), 48_000.0, name)
