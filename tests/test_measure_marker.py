"""The marker is found where it was put, to 0.1 ms and less, or it is said that it is not."""

from __future__ import annotations

import numpy as np
import pytest
from bunraku import _native
from bunraku.effects.audio.native_model import load_model
from bunraku.measure.marker import Signal, draw_markers, find_marker, marker, marker_train

RATE_HZ = 48_000
MOST_FRAMES = 9600
FRAMES_OF_0_1_MS = RATE_HZ / 10_000
DELAYS = [0.0, 0.5, 100.25, 1234.7, 9000.9]


def delayed(signal: Signal, frames: float) -> Signal:
    """By any fraction, exactly for what is band-limited."""
    size = 2 * len(signal)
    turn = np.exp(-2j * np.pi * np.fft.rfftfreq(size) * frames)
    later = np.fft.irfft(np.fft.rfft(signal, size) * turn, size)[: len(signal)]
    return later.astype(np.float32)


def heard(frames: float) -> Signal:
    return delayed(draw_markers([0], 16_000, RATE_HZ), frames)


def with_noise(signal: Signal, snr_db: float) -> Signal:
    level = np.sqrt(np.mean(marker(RATE_HZ) ** 2)) / 10 ** (snr_db / 20)
    noise = np.random.default_rng(5).normal(0.0, level, len(signal))
    return (signal + noise).astype(np.float32)


def through(model: str, signal: Signal) -> Signal:
    stream = _native.Stream(load_model(model), max_block_frames=256)
    quiet = np.zeros((1, 24_000), np.float32)  # a model's start-up is no part of it
    for at in range(0, 24_000, 256):
        stream.process(quiet[:, at : at + 256])
    blocks = [stream.process(signal[None, at : at + 256])[0] for at in range(0, len(signal), 256)]
    return np.concatenate(blocks)


def error_of(signal: Signal, delay: float) -> float:
    found = find_marker(signal, RATE_HZ, 0, MOST_FRAMES)
    assert found is not None
    assert found.clear
    return abs(found.delay_frames - delay)


@pytest.mark.parametrize("delay", DELAYS)
def test_known_delays(delay: float) -> None:
    assert error_of(heard(delay), delay) < 0.001


@pytest.mark.parametrize("delay", DELAYS)
def test_known_delays_in_noise(delay: float) -> None:
    assert error_of(with_noise(heard(delay), 20.0), delay) < FRAMES_OF_0_1_MS / 20


@pytest.mark.parametrize("delay", DELAYS)
def test_known_delays_clipped(delay: float) -> None:
    loud = np.clip(6.0 * with_noise(heard(delay), 20.0), -0.5, 0.5)
    assert error_of(loud, delay) < FRAMES_OF_0_1_MS / 20


def test_polarity_does_not_matter() -> None:
    assert error_of(-heard(321.4), 321.4) < 0.001


@pytest.mark.parametrize("model", ["radio", "fuzz", "megaphone", "tape"])
def test_known_delays_through_an_effect(model: str) -> None:
    """An effect moves the marker by its own delay, the same whatever the path before it."""
    alone = find_marker(through(model, heard(0.0)), RATE_HZ, 0, MOST_FRAMES)
    assert alone is not None
    for delay in DELAYS:
        signal = through(model, with_noise(heard(delay), 20.0))
        assert error_of(signal, delay + alone.delay_frames) < FRAMES_OF_0_1_MS / 2


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100, 96_000])
def test_other_rates(rate_hz: int) -> None:
    signal = delayed(draw_markers([0], rate_hz // 2, rate_hz), 77.3)
    found = find_marker(signal, rate_hz, 0, rate_hz // 4)
    assert found is not None
    assert found.clear
    assert abs(found.delay_frames - 77.3) < 0.001 * rate_hz / 10


def test_noise_and_silence_are_not_a_marker() -> None:
    noise = with_noise(np.zeros(60_000, np.float32), 0.0)
    found = find_marker(noise, RATE_HZ, 0, RATE_HZ)
    assert found is not None
    assert not found.clear
    assert find_marker(np.zeros(60_000, np.float32), RATE_HZ, 0, RATE_HZ) is None
    assert find_marker(noise[:100], RATE_HZ, 0, RATE_HZ) is None


def test_two_equal_arrivals_are_not_clear() -> None:
    found = find_marker(heard(100.0) + heard(1500.0), RATE_HZ, 0, MOST_FRAMES)
    assert found is not None
    assert not found.clear


def test_an_echo_is_not_the_arrival() -> None:
    assert error_of(heard(100.0) + 0.6 * heard(1500.0), 100.0) < 0.1


def test_what_an_effect_makes_unrecognisable_is_not_clear() -> None:
    """Two seconds of decaying noise as the impulse response."""
    random = np.random.default_rng(2)
    room = random.normal(0.0, 1.0, RATE_HZ) * np.exp(-np.arange(RATE_HZ) / RATE_HZ / 0.5)
    signal = np.convolve(marker(RATE_HZ), room).astype(np.float32)
    found = find_marker(signal, RATE_HZ, 0, MOST_FRAMES)
    assert found is not None
    assert not found.clear


def test_the_train_leaves_room() -> None:
    positions = marker_train(20 * RATE_HZ, RATE_HZ)
    gaps = np.diff(positions)
    assert len(positions) == 74
    assert gaps[0] >= RATE_HZ
    assert gaps[1:].min() > 0.2 * RATE_HZ
    assert positions[-1] + 0.25 * RATE_HZ < 20 * RATE_HZ
    assert len({p % 256 for p in positions}) > 60
