"""Chains, parameters, rates and swaps of the native core, through the C ABI."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from bunraku.errors import BunrakuError, ModelFormatError, UserInputError
from bunraku.formats.flat import write_flat
from bunraku.formats.specs import ChainSpec, GainSpec, MixSpec, ModelSpec, NodeSpec, RateSpec
from numpy.typing import NDArray

native = pytest.importorskip("bunraku._native", reason="the native core is not built")

RATES_HZ = [8_000, 11_025, 16_000, 22_050, 44_100, 88_200, 96_000, 192_000]


def model(*nodes: NodeSpec) -> native.Model:
    return native.Model(write_flat(ModelSpec(ChainSpec(nodes), 48_000.0, "test")))


def sine(hz: float, rate_hz: float, frames: int, delay: int = 0) -> NDArray[np.float32]:
    t = np.arange(frames) - delay
    return np.sin(2 * np.pi * hz * t / rate_hz).astype(np.float32)[None]


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_resampled_stream_is_transparent_and_late_as_declared(rate_hz: int) -> None:
    stream = native.Stream(model(GainSpec(0.0)), sample_rate_hz=rate_hz)
    late = stream.latency_frames
    nyquist_hz = min(rate_hz, 48_000) / 2
    settled = 3 * late
    for hz in (50.0, 0.5 * nyquist_hz, 0.89 * nyquist_hz):
        stream.reset()
        y = stream.process(sine(hz, rate_hz, 3 * settled))
        error = np.abs(y - sine(hz, rate_hz, 3 * settled, late))[:, settled:]
        assert error.max() < 1e-5, hz  # far less than 0.01 dB


@pytest.mark.parametrize("rate_hz", [96_000, 192_000])
@pytest.mark.parametrize("part", [1.001, 1.4])
def test_resampler_stops_what_would_alias(rate_hz: int, part: float) -> None:
    stream = native.Stream(model(GainSpec(0.0)), sample_rate_hz=rate_hz)
    late = stream.latency_frames
    y = stream.process(sine(part * 24_000, rate_hz, 20 * late))[:, 4 * late :]
    assert 20 * np.log10(np.abs(y).max() + 1e-12) < -110


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_resampled_stream_ignores_the_partition(rate_hz: int) -> None:
    chain = model(GainSpec(-3.0), RateSpec(44_100.0, ChainSpec((GainSpec(1.0),))))
    rng = np.random.default_rng(5)
    x = rng.standard_normal((2, 4000)).astype(np.float32)
    whole = native.Stream(chain, channels=2, sample_rate_hz=rate_hz, max_block_frames=4096)
    expected = whole.process(x)
    stream = native.Stream(chain, channels=2, sample_rate_hz=rate_hz, max_block_frames=300)
    cuts = np.cumsum([0, *rng.integers(1, 300, 100)]).clip(max=4000)
    y = np.concatenate([stream.process(x[:, a:b]) for a, b in itertools.pairwise(cuts)], axis=1)
    np.testing.assert_allclose(y, expected, atol=1e-6)
    stream.reset()
    np.testing.assert_allclose(stream.process(x), expected, atol=1e-6)


def test_mix_meets_its_own_latency() -> None:
    # Half dry, half through a resampler and back: only in phase do they add up to the input.
    nested = ChainSpec((RateSpec(44_100.0, ChainSpec()),))
    stream = native.Stream(model(MixSpec(0.5, nested)))
    late = stream.latency_frames
    assert late > 100
    y = stream.process(sine(5_000, 48_000, 4000))
    assert np.abs(y - sine(5_000, 48_000, 4000, late))[:, 4 * late :].max() < 1e-5


def test_parameters_glide() -> None:
    stream = native.Stream(model(GainSpec(0.0)))
    ones = np.ones((1, 512), np.float32)
    stream.process(ones)
    stream.set_param(0, -120.0)
    y = stream.process(ones)[0]
    assert np.abs(np.diff(y)).max() < 1 / 400  # no step: 10 ms are 480 frames
    assert y[-1] == pytest.approx(1e-6)
    assert stream.get_param(0) == -120.0


@pytest.mark.parametrize(("index", "value"), [(0, 61.0), (0, float("nan")), (1, 0.0)])
def test_bad_parameters_are_refused(index: int, value: float) -> None:
    stream = native.Stream(model(GainSpec(0.0)))
    with pytest.raises(UserInputError):
        stream.set_param(index, value)


def test_parameters_have_paths() -> None:
    chain = model(GainSpec(), MixSpec(0.5, ChainSpec((GainSpec(), MixSpec(0.1, ChainSpec())))))
    names = [param["name"] for param in chain.params]
    assert names == ["0.gain_db", "1.wet", "1.0.gain_db", "1.1.wet"]


def test_input_that_is_not_finite_counts_as_silence() -> None:
    stream = native.Stream(model(GainSpec(0.0), RateSpec(44_100.0, ChainSpec())))
    x = np.full((1, 400), np.nan, np.float32)
    x[0, ::2] = np.inf
    assert not stream.process(x).any()


def test_swap_crossfades_once_and_refuses_a_second() -> None:
    stream = native.Stream(model(GainSpec(0.0)), crossfade_frames=256)
    stream.swap(model(GainSpec(-6.0)))
    with pytest.raises(BunrakuError, match="swap"):
        stream.swap(model(GainSpec(-9.0)))
    y = stream.process(np.ones((1, 512), np.float32))[0]
    assert not stream.swap_pending()
    turn = (np.arange(256) + 0.5) / 256 * np.pi / 2
    ideal = np.cos(turn) + 10 ** (-6 / 20) * np.sin(turn)
    np.testing.assert_allclose(y[:256], ideal, atol=1e-5)
    np.testing.assert_allclose(y[256:], 10 ** (-6 / 20), atol=1e-5)


def test_unreachable_rates_are_refused() -> None:
    with pytest.raises(ModelFormatError, match="48000"):
        native.Stream(model(GainSpec(0.0)), sample_rate_hz=44_101.3)
