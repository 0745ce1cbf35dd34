"""Sound by its times: no drift, silence for what is missing, no clicks where nothing is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from bunraku.io.sound_track import SoundTrack

RATE_HZ = 48_000
BLOCK = 1024
ORIGIN_NS = 10**12

Samples = npt.NDArray[np.float32]


def feed(track: SoundTrack, samples: Samples, true_hz: float, jitter_ns: int = 0) -> Samples:
    random = np.random.default_rng(3)
    pieces = []
    for start in range(0, len(samples), BLOCK):
        jitter = int(random.integers(-jitter_ns, jitter_ns + 1))
        time_ns = ORIGIN_NS + round(start / true_hz * 1e9) + jitter
        pieces += list(track.add(samples[start : start + BLOCK], time_ns))
    return np.concatenate([*pieces, track.finish()])


@pytest.mark.parametrize(("ppm", "seconds"), [(-200.0, 100), (200.0, 600)])
def test_ten_minutes_of_another_clock_stay_in_step(ppm: float, seconds: int) -> None:
    true_hz = RATE_HZ * (1 + ppm * 1e-6)
    samples = np.zeros((round(seconds * true_hz), 1), np.float32)
    pulse = np.hanning(97).astype(np.float32)
    marks = range(1, seconds, 7)
    for second in marks:
        middle = round(second * true_hz)
        samples[middle - 48 : middle + 49, 0] = pulse
    track = SoundTrack(RATE_HZ, 1, ORIGIN_NS)
    heard = feed(track, samples, true_hz, jitter_ns=500_000)[:, 0]
    for second in marks:
        near = np.maximum(heard[second * RATE_HZ - 2400 : second * RATE_HZ + 2401], 0.0) ** 2
        late_s = (near * np.arange(-2400, 2401)).sum() / near.sum() / RATE_HZ
        assert abs(late_s) < 1e-3, f"{late_s * 1e3:.3f} ms at {second} s"
    assert len(heard) == pytest.approx(seconds * RATE_HZ, abs=96)
    assert track.silent_frames + track.cut_frames < 100


def test_a_tone_stays_a_tone() -> None:
    time_s = np.arange(12 * RATE_HZ) / RATE_HZ
    tone = np.sin(2 * np.pi * 997 * time_s).astype(np.float32)[:, None]
    heard = feed(SoundTrack(RATE_HZ, 1, ORIGIN_NS), tone, RATE_HZ * 1.0001)[-4 * RATE_HZ : -1000, 0]
    spectrum = np.abs(np.fft.rfft(heard * np.blackman(len(heard)) ** 2))
    peak = int(spectrum.argmax())
    spectrum[peak - 40 : peak + 41] = 0.0
    assert spectrum.max() < 1e-4 * np.abs(np.fft.rfft(heard * np.blackman(len(heard)) ** 2)).max()
    assert np.abs(np.diff(heard)).max() < 2 * np.pi * 997 / RATE_HZ * 1.01


def test_without_drift_nothing_changes() -> None:
    noise = np.random.default_rng(1).standard_normal((RATE_HZ, 2)).astype(np.float32)
    heard = feed(SoundTrack(RATE_HZ, 2, ORIGIN_NS), noise, RATE_HZ)
    assert len(heard) == pytest.approx(len(noise), abs=1)
    assert np.abs(heard[2000:45_000] - noise[2000:45_000]).max() < 2e-2


def test_a_gap_is_silence_and_an_overlap_is_cut() -> None:
    ones = np.ones((RATE_HZ, 1), np.float32)
    track = SoundTrack(RATE_HZ, 1, ORIGIN_NS)
    pieces = list(track.add(ones, ORIGIN_NS))
    pieces += list(track.add(ones, ORIGIN_NS + 3_000_000_000))  # two seconds are missing
    pieces += list(track.add(ones, ORIGIN_NS + 3_500_000_000))  # half of it was there
    heard = np.concatenate([*pieces, track.finish()])[:, 0]
    assert len(heard) == pytest.approx(4.5 * RATE_HZ, abs=2)
    assert track.silent_frames == pytest.approx(2 * RATE_HZ, abs=40)
    assert track.cut_frames == pytest.approx(RATE_HZ // 2, abs=2)
    assert np.abs(heard[RATE_HZ + 100 : 3 * RATE_HZ - 100]).max() == 0.0
    assert heard[3 * RATE_HZ + 200 : 3 * RATE_HZ + 20_000].min() > 0.99


def test_what_is_before_the_origin_is_cut() -> None:
    track = SoundTrack(RATE_HZ, 1, ORIGIN_NS)
    assert list(track.add(np.ones((480, 1), np.float32), ORIGIN_NS - 10**9)) == []
    assert track.cut_frames == 480


def test_silence_up_to_a_time() -> None:
    track = SoundTrack(RATE_HZ, 1, ORIGIN_NS)
    silence = np.concatenate(list(track.fill_to(ORIGIN_NS + 5_000_000_000)))
    assert len(silence) == 5 * RATE_HZ
    assert list(track.fill_to(ORIGIN_NS + 4_000_000_000)) == []
