"""Random networks of every shape that the fast paths claim: they must equal the general paths."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from bunraku.formats.flat import write_flat
from bunraku.formats.specs import (
    ActivationKind,
    ActivationSpec,
    ChainSpec,
    GatingMode,
    LstmSpec,
    ModelSpec,
    WaveNetArraySpec,
    WaveNetLayerSpec,
    WaveNetSpec,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from small_specs import with_weights

native = pytest.importorskip("bunraku._native", reason="the native core is not built")

TOLERANCE = 5e-5  # of the peak: two orders of addition and two tanh, through recurrences
each_isa = pytest.mark.parametrize("isa", native.isa_list().split(","))
frames_of_block = st.lists(st.integers(1, 200), min_size=1, max_size=12)


@st.composite
def activations(draw: st.DrawFn, channels: int) -> ActivationSpec:
    kind = draw(st.sampled_from(list(ActivationKind)))
    if kind is ActivationKind.LeakyReLU:
        return ActivationSpec(kind, (draw(st.sampled_from([0.0, 0.01, 0.5, 1.0, 1.25])),))
    if kind is ActivationKind.PReLU:
        count = draw(st.sampled_from([1, channels]))
        return ActivationSpec(kind, tuple(0.05 * (i + 1) for i in range(count)))
    if kind is ActivationKind.LeakyHardtanh:
        return ActivationSpec(kind, (-0.5, 0.75, 0.125, 0.25))
    return ActivationSpec(kind)


@st.composite
def wavenets(draw: st.DrawFn) -> WaveNetSpec:
    arrays: list[WaveNetArraySpec] = []
    head_input = draw(st.integers(1, 17))
    input_size = 1
    for _ in range(draw(st.integers(1, 3))):
        bottleneck = head_input
        channels = bottleneck if arrays else draw(st.integers(1, 17))
        layers = tuple(
            WaveNetLayerSpec(
                kernel_size=draw(st.integers(1, 7)),
                dilation=draw(st.sampled_from([1, 2, 3, 7, 8, 16, 61, 64, 130])),
                activation=draw(activations(bottleneck)),
            )
            for _ in range(draw(st.integers(1, 4)))
        )
        head_input = draw(st.integers(1, 9))
        arrays.append(
            WaveNetArraySpec(
                input_size=input_size,
                condition_size=1,
                channels=channels,
                bottleneck=bottleneck,
                head_out_channels=head_input,
                layers=layers,
                head_kernel_size=draw(st.sampled_from([1, 1, 2, 16])),
                head_dilation=draw(st.sampled_from([1, 5])),
                head_bias=draw(st.booleans()),
            )
        )
        input_size = channels
    # A chain's network has one output.
    last = arrays[-1]
    arrays[-1] = WaveNetArraySpec(**{**vars(last), "head_out_channels": 1})
    spec = with_weights(
        WaveNetSpec(tuple(arrays), np.zeros(0, np.float32)), draw(st.integers(0, 1000))
    )
    assert isinstance(spec, WaveNetSpec)
    return spec


@st.composite
def lstms(draw: st.DrawFn) -> LstmSpec:
    spec = LstmSpec(1, draw(st.integers(1, 40)), draw(st.integers(1, 3)), np.zeros(0, np.float32))
    made = with_weights(spec, draw(st.integers(0, 1000)))
    assert isinstance(made, LstmSpec)
    # Many strong recurrent weights make a chaotic network, in which any rounding grows.
    return replace(made, weights=made.weights * np.float32(min(1.0, 4.0 / made.hidden_size)))


def play(
    spec: WaveNetSpec | LstmSpec, isa: str, blocks: list[int], force_general: bool
) -> NDArray[np.float32]:
    flat = write_flat(ModelSpec(ChainSpec((spec,))))
    model = native.Model(flat, isa=isa, force_general=force_general)
    assert model.fast_path is not force_general
    stream = native.Stream(model, max_block_frames=max(blocks))
    x = np.random.default_rng(5).normal(0.0, 0.3, sum(blocks)).astype(np.float32)
    edges = np.cumsum([0, *blocks])
    parts = [stream.process(x[None, a:b])[0] for a, b in pairwise(edges)]
    return np.concatenate(parts)


def assert_same(spec: WaveNetSpec | LstmSpec, isa: str, blocks: list[int]) -> None:
    general = play(spec, isa, blocks, True).astype(np.float64)
    fast = play(spec, isa, blocks, False)
    peak = np.abs(general).max()
    assert np.isfinite(fast).all()
    assert np.abs(fast - general).max() <= TOLERANCE * peak + 1e-7


@each_isa
@settings(max_examples=60, deadline=None)
@given(spec=wavenets(), blocks=frames_of_block)
def test_wavenet(isa: str, spec: WaveNetSpec, blocks: list[int]) -> None:
    assert_same(spec, isa, blocks)


@each_isa
@settings(max_examples=25, deadline=None)
@given(spec=lstms(), blocks=frames_of_block)
def test_lstm(isa: str, spec: LstmSpec, blocks: list[int]) -> None:
    assert_same(spec, isa, blocks)


@each_isa
def test_gated_layers_take_the_general_path(isa: str) -> None:
    layer = WaveNetLayerSpec(3, 1, gating=GatingMode.gated)
    array = WaveNetArraySpec(1, 1, 4, 4, 1, (layer,))
    spec = with_weights(WaveNetSpec((array,), np.zeros(0, np.float32)))
    model = native.Model(write_flat(ModelSpec(ChainSpec((spec,)))), isa=isa)
    assert not model.fast_path
