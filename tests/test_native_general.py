"""The native core against the PyTorch references in float64, on small and on random networks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from bunraku.formats.flat import write_flat
from bunraku.formats.layout import flop_per_frame, receptive_field_frames
from bunraku.formats.specs import (
    FILM_SITES,
    ActivationKind,
    ActivationSpec,
    ConvNetSpec,
    FilmSpec,
    GatingMode,
    LstmSpec,
    NetworkSpec,
    SlimmableSpec,
    WaveNetArraySpec,
    WaveNetLayerSpec,
    WaveNetPostHeadSpec,
    WaveNetSpec,
)
from bunraku.models.build import build_network
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_specs import NO_WEIGHTS, PARAMETERS, as_model, mono_networks, with_weights

native = pytest.importorskip("bunraku._native", reason="the native core is not built")

FRAMES = 300
BLOCK = 64
TOLERANCE = 2e-5  # of the peak, or of 1 where the peak is below
NETWORKS = mono_networks()


def differs(network: NetworkSpec, *, isa: str = "", general: bool = True, size: float = 1.0):
    """Largest difference of native and reference, relative to the peak."""
    x = np.random.default_rng(11).normal(0.0, 0.3, FRAMES).astype(np.float32)
    module = build_network(network, size).double()
    with torch.no_grad():
        expected = module(torch.from_numpy(x).double()[None, None])[0, 0].numpy()
    model = native.Model(write_flat(as_model(network)), isa=isa, force_general=general)
    stream = native.Stream(model, max_block_frames=BLOCK, size=size)
    y = stream.process(x[None])[0]
    return np.abs(y - expected).max() / max(1.0, np.abs(expected).max())


@pytest.mark.parametrize("general", [True, False], ids=["general", "any path"])
@pytest.mark.parametrize("spec", NETWORKS.values(), ids=NETWORKS.keys())
def test_every_feature_sounds_like_the_reference(spec: NetworkSpec, general: bool) -> None:
    for isa in native.isa_list().split(","):
        assert differs(spec, isa=isa, general=general) <= TOLERANCE, isa


@pytest.mark.parametrize("size", [0.0, 0.4999, 0.5, 0.9, 1.0])
def test_sizes_of_a_slimmable_sound_like_the_reference(size: float) -> None:
    assert differs(NETWORKS["slimmable"], size=size) <= TOLERANCE


@pytest.mark.parametrize("spec", NETWORKS.values(), ids=NETWORKS.keys())
def test_both_sides_report_the_same(spec: NetworkSpec) -> None:
    model = native.Model(write_flat(as_model(spec)))
    assert model.flop_per_frame == flop_per_frame(spec)
    reach = receptive_field_frames(spec)
    if reach is not None and not isinstance(spec, SlimmableSpec):
        assert model.receptive_field_frames == reach
    assert model.name == "small"


# ---- random networks over all features -----------------------------------------------------------

kinds = st.sampled_from(sorted(ActivationKind))


@st.composite
def activations(draw: st.DrawFn, channels: int) -> ActivationSpec:
    kind = draw(kinds)
    if kind == ActivationKind.PReLU and draw(st.booleans()):
        return ActivationSpec(kind, tuple(0.1 + 0.05 * i for i in range(channels)))
    return ActivationSpec(kind, PARAMETERS.get(kind, ()))


@st.composite
def layer_specs(draw: st.DrawFn, bottleneck: int) -> WaveNetLayerSpec:
    gating = draw(st.sampled_from(sorted(GatingMode)))
    second = ActivationSpec() if gating == GatingMode.none else draw(activations(bottleneck))
    return WaveNetLayerSpec(
        draw(st.integers(1, 5)),
        draw(st.integers(1, 9)),
        gating,
        draw(activations(bottleneck)),
        second,
    )


@st.composite
def array_specs(draw: st.DrawFn, condition_size: int) -> WaveNetArraySpec:
    even = st.sampled_from([2, 4, 6])
    channels, bottleneck = draw(even), draw(even)
    layer1x1_active = draw(st.booleans())
    if not layer1x1_active:
        bottleneck = channels
    head1x1_active = draw(st.booleans())
    groups = st.sampled_from([1, 2])
    mixin_groups = draw(groups) if condition_size % 2 == 0 else 1
    inactive: set[str] = set()
    if not layer1x1_active:
        inactive.add("layer1x1_post_film")
    if not head1x1_active:
        inactive.add("head1x1_post_film")
    films = tuple(
        FilmSpec()
        if site in inactive or draw(st.booleans())
        else FilmSpec(True, draw(st.booleans()), mixin_groups)
        for site in FILM_SITES
    )
    return WaveNetArraySpec(
        input_size=1,
        condition_size=condition_size,
        channels=channels,
        bottleneck=bottleneck,
        head_out_channels=1,
        layers=tuple(draw(st.lists(layer_specs(bottleneck), min_size=1, max_size=3))),
        groups_input=draw(groups),
        groups_input_mixin=mixin_groups,
        layer1x1_active=layer1x1_active,
        layer1x1_groups=draw(groups) if layer1x1_active else 1,
        head1x1_active=head1x1_active,
        head1x1_out_channels=draw(even) if head1x1_active else 1,
        head1x1_groups=draw(groups) if head1x1_active else 1,
        head_kernel_size=draw(st.integers(1, 4)),
        head_bias=draw(st.booleans()),
        head_dilation=draw(st.integers(1, 3)),
        films=films,
    )


@st.composite
def wavenets(draw: st.DrawFn) -> WaveNetSpec:
    condition: NetworkSpec | None = None
    condition_size = 1
    if draw(st.booleans()):
        condition_size = 2
        condition = with_weights(
            draw(
                st.sampled_from(
                    [
                        LstmSpec(1, 3, 1, NO_WEIGHTS, out_channels=2),
                        ConvNetSpec(2, (1, 2), True, ActivationSpec(), NO_WEIGHTS, 1, 2),
                    ]
                )
            )
        )
    arrays = [draw(array_specs(condition_size))]
    if draw(st.booleans()):
        second = draw(array_specs(condition_size))
        second = replace(second, input_size=arrays[0].channels)
        if second.head1x1_active:
            second = replace(second, head1x1_out_channels=second.channels)
        elif second.bottleneck != second.channels:
            second = replace(second, head1x1_active=True, head1x1_out_channels=second.channels)
        arrays[0] = replace(arrays[0], head_out_channels=second.channels)
        arrays.append(second)
    post_head = None
    if draw(st.booleans()):
        post_head = WaveNetPostHeadSpec(2, 1, draw(activations(1)), (2, 3))
        slopes = len(post_head.activation.parameters)
        if post_head.activation.kind == ActivationKind.PReLU and slopes != 1:
            post_head = None
    spec = with_weights(
        WaveNetSpec(tuple(arrays), NO_WEIGHTS, 1, condition, post_head),
        draw(st.integers(0, 1000)),
    )
    assert isinstance(spec, WaveNetSpec)
    return spec


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(wavenets())
def test_random_wavenets_sound_like_the_reference(spec: WaveNetSpec) -> None:
    assert differs(spec) <= TOLERANCE
    assert differs(spec, general=False) <= TOLERANCE
