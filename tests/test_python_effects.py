"""Every audio effect in Python: finite, causal, its latency true, itself again after reset."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from bunraku.effects.audio.noise_gate import NoiseGate
from bunraku.effects.audio.python_effect import (
    AudioEffect,
    Block,
    catalogue,
    open_effect,
    run_effects,
)
from bunraku.effects.audio.ring_modulator import RingModulator
from bunraku.errors import BunrakuError, UserInputError

RATE_HZ = 48_000
EFFECTS = sorted(catalogue())
PARTITIONS = ([1] * 600 + [4096], [64], [100], [512], [7, 1, 333, 2048, 13])


def voice(channels: int = 2, frames: int = 20_000) -> np.ndarray:
    """Bursts of noise and tone with silence between, as speech has."""
    rng = np.random.default_rng(5)
    t = np.arange(frames) / RATE_HZ
    loud = (np.sin(2 * np.pi * 6.0 * t) > 0.2).astype(np.float32)
    tone = 0.4 * np.sin(2 * np.pi * 220.0 * t)
    return ((tone + 0.05 * rng.standard_normal((channels, frames))) * loud).astype(np.float32)


def opened(name: str, channels: int = 2) -> AudioEffect:
    return open_effect(name, sample_rate_hz=RATE_HZ, channels=channels)


def in_pieces(effect: AudioEffect, signal: np.ndarray, sizes: list[int]) -> np.ndarray:
    outputs, at, k = [], 0, 0
    while at < signal.shape[1]:
        piece = signal[:, at : at + sizes[k % len(sizes)]]
        outputs.append(effect.process(piece))
        assert outputs[-1].shape == piece.shape
        at, k = at + piece.shape[1], k + 1
    return np.concatenate(outputs, axis=1)


def test_the_catalogue_has_effects() -> None:
    assert {"noise_gate", "ring_modulator"} <= set(EFFECTS)


@pytest.mark.parametrize("name", EFFECTS)
@pytest.mark.parametrize("sizes", PARTITIONS, ids=["1", "64", "100", "512", "odd"])
def test_streamed_equals_whole(name: str, sizes: list[int]) -> None:
    whole = opened(name).process(voice())
    streamed = in_pieces(opened(name), voice(), sizes)
    assert streamed.dtype == np.float32
    np.testing.assert_allclose(streamed, whole, atol=1e-6)


@pytest.mark.parametrize("name", EFFECTS)
def test_declared_latency_is_where_the_sound_begins(name: str) -> None:
    effect = opened(name, channels=1)
    marker_at = 1000
    signal = np.zeros((1, 8000), np.float32)
    signal[:, marker_at:] = 0.5
    sounding = np.flatnonzero(np.abs(effect.process(signal)[0]) > 1e-4)
    # The ring modulator's carrier may be near zero at the marker: a few frames of grace.
    assert 0 <= sounding[0] - marker_at - effect.latency_frames <= 2


@pytest.mark.parametrize("name", EFFECTS)
def test_reset_equals_fresh(name: str) -> None:
    effect = opened(name)
    effect.process(voice())
    effect.reset()
    np.testing.assert_array_equal(effect.process(voice()), opened(name).process(voice()))


@pytest.mark.parametrize("name", EFFECTS)
@pytest.mark.parametrize("level", [0.0, 1.0, 1e6, 1e-30])
def test_output_is_finite(name: str, level: float) -> None:
    assert np.isfinite(opened(name).process(voice() * np.float32(level))).all()


def test_ring_modulator_matches_its_formula() -> None:
    effect = RingModulator(sample_rate_hz=RATE_HZ, channels=1, carrier_hz=50.0, depth=0.75)
    signal = voice(channels=1)
    t = np.arange(signal.shape[1], dtype=np.float64) / RATE_HZ
    want = signal.astype(np.float64) * (0.25 + 0.75 * np.sin(2 * np.pi * 50.0 * t))
    np.testing.assert_allclose(effect.process(signal), want, atol=1e-6)


def test_noise_gate_silences_noise_and_passes_voice() -> None:
    gate = NoiseGate(sample_rate_hz=RATE_HZ, channels=1, threshold_db=-40.0)
    rng = np.random.default_rng(1)
    hiss = (1e-3 * rng.standard_normal((1, RATE_HZ))).astype(np.float32)
    assert np.abs(gate.process(hiss)).max() == 0.0
    t = np.arange(RATE_HZ) / RATE_HZ
    tone = (0.5 * np.sin(2 * np.pi * 300 * t)).astype(np.float32)[None]
    played = gate.process(tone)
    late = gate.latency_frames
    np.testing.assert_array_equal(played[:, 2 * late :], tone[:, late:-late])
    tail = gate.process(np.zeros_like(hiss) + hiss)
    assert np.abs(tail[:, RATE_HZ // 2 :]).max() == 0.0, "closed again after hold and release"


@pytest.mark.parametrize(
    ("name", "settings", "says"),
    [
        ("ring_modulator", {"carrier_hz": 0.0}, "carrier_hz is 0"),
        ("ring_modulator", {"depth": 2.0}, "use 0 to 1"),
        ("noise_gate", {"threshold_db": 3.0}, "threshold_db is 3"),
        ("noise_gate", {"release_s": 0.0}, "release_s"),
        ("echo_of_nothing", {}, "at hand: noise_gate, ring_modulator"),
    ],
)
def test_wrong_settings_say_the_remedy(name: str, settings: dict[str, float], says: str) -> None:
    with pytest.raises(UserInputError, match=says):
        open_effect(name, sample_rate_hz=RATE_HZ, channels=1, **settings)


# ---- several in turn -----------------------------------------------------------------------------


class Custom(AudioEffect):
    """Somebody's own. Not in the catalogue: it has no name."""

    def __init__(self, make: Callable[[Block], object]) -> None:
        super().__init__(sample_rate_hz=RATE_HZ, channels=2)
        self.make = make

    def process(self, block: Block) -> Block:
        return self.make(block)  # type: ignore[return-value]


def test_effects_run_in_turn() -> None:
    double, more = Custom(lambda block: 2 * block), Custom(lambda block: block + 1.0)
    block = np.full((2, 64), 3.0, np.float32)
    assert (run_effects([double, more], block) == 7.0).all()
    assert (run_effects([more, double], block) == 8.0).all()
    assert run_effects([], block) is block
    wide = run_effects([Custom(lambda block: block.astype(np.float64))], block)
    assert wide.dtype == np.float32


@pytest.mark.parametrize(
    ("make", "gave"),
    [
        (lambda block: block[:, :10], r"\[2, 10\]"),
        (lambda block: block[:1], r"\[1, 64\]"),
        (lambda block: block.T, r"\[64, 2\]"),
        (lambda block: None, r"\[\]"),
    ],
)
def test_an_effect_that_gives_another_shape_is_named_with_both(
    make: Callable[[Block], object], gave: str
) -> None:
    block = np.zeros((2, 64), np.float32)
    effects = [opened("ring_modulator"), Custom(make), opened("noise_gate")]
    with pytest.raises(BunrakuError, match=rf"Custom gave back {gave} for a block of \[2, 64\]"):
        run_effects(effects, block)
