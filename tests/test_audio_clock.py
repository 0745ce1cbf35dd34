"""The audio hardware's frames on monotonic time: jitter dropped, rate kept, jumps noticed."""

from __future__ import annotations

import numpy as np
import pytest
from bunraku.session.audio_clock import AudioClock

RATE = 48_000
BLOCK = 256
START_NS = 5_000_000_000


def run_clock(
    clock: AudioClock, seconds: float, *, ppm: float = 0.0, late_ms: float = 0.0, every: int = 9
) -> tuple[float, float]:
    """Feeds points of callbacks that wake a fifth of `late_ms` late in the mean; returns the last
    (frame, true ns)."""
    random = np.random.default_rng(1)
    true_rate = RATE * (1 + 1e-6 * ppm)
    frame = 0
    for k in range(int(seconds * RATE / BLOCK)):
        frame = k * BLOCK
        if k % every == 0:
            late_ns = random.exponential(0.2) * late_ms * 1e6 if late_ms else 0.0
            clock.observe(frame, round(START_NS + frame / true_rate * 1e9 + late_ns))
    return frame, START_NS + frame / true_rate * 1e9


@pytest.mark.parametrize("ppm", [-300.0, -20.0, 0.0, 100.0, 300.0])
def test_locks_to_the_cards_own_rate(ppm: float) -> None:
    clock = AudioClock(RATE)
    frame, true_ns = run_clock(clock, 30.0, ppm=ppm)
    assert clock.time_ns_of(frame) == pytest.approx(true_ns, abs=20_000)
    assert clock.rate_hz == pytest.approx(RATE * (1 + 1e-6 * ppm), rel=2e-6)
    assert clock.frame_at(clock.time_ns_of(1234)) == pytest.approx(1234, abs=0.01)


def test_drops_the_jitter_of_waking() -> None:
    clock = AudioClock(RATE)
    errors = []
    run_clock(clock, 10.0, late_ms=5.0)
    random = np.random.default_rng(2)
    for k in range(2000, 6000, 9):
        late_ns = random.exponential(0.2) * 5e6
        clock.observe(k * BLOCK, round(START_NS + k * BLOCK / RATE * 1e9 + late_ns))
        errors.append(clock.time_ns_of(k * BLOCK) - (START_NS + k * BLOCK / RATE * 1e9))
    assert np.std(errors) < 0.25 * 1e6, "of 1 ms of lateness the mean stays, the jitter goes"
    assert np.mean(errors) == pytest.approx(1e6, rel=0.4)


def test_a_gap_starts_anew() -> None:
    clock = AudioClock(RATE)
    run_clock(clock, 5.0)
    away_ns = START_NS + 60_000_000_000
    clock.observe(5 * RATE, away_ns)
    assert clock.jumps == 1
    assert clock.time_ns_of(5 * RATE) == away_ns


def test_lost_frames_are_followed_within_a_second() -> None:
    """60 ms of sound that never came: an error that stays."""
    clock = AudioClock(RATE)
    lost_ns = 60_000_000
    for k in range(400):
        clock.observe(k * 480, 1_000_000_000 + k * 10_000_000)
    for k in range(400, 500):
        clock.observe(k * 480, 1_000_000_000 + k * 10_000_000 + lost_ns)
    assert clock.jumps == 1
    assert abs(clock.time_ns_of(500 * 480) - (6_000_000_000 + lost_ns)) < 2_000_000


def test_a_thread_that_wakes_late_for_a_while_is_no_jump() -> None:
    clock = AudioClock(RATE)
    for k in range(600):
        late_ns = 80_000_000 - (k % 40) * 10_000_000 if k % 40 < 8 else 0
        clock.observe(k * 480, 1_000_000_000 + k * 10_000_000 + late_ns)
    assert clock.jumps == 0


def test_points_that_say_nothing_are_ignored() -> None:
    clock = AudioClock(RATE)
    clock.observe(0, 0)
    assert not clock.started
    clock.observe(256, START_NS)
    clock.observe(256, START_NS + 99)
    assert clock.time_ns_of(256) == START_NS


def test_a_long_pause_between_points_does_not_ring() -> None:
    clock = AudioClock(RATE)
    run_clock(clock, 20.0)
    clock.observe(80 * RATE, START_NS + 80_000_000_000 + 50_000_000)
    assert abs(clock.rate_hz / RATE - 1) < 0.01
    assert clock.time_ns_of(80 * RATE) <= START_NS + 80_050_000_000
