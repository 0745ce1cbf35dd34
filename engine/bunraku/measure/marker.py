"""A short chirp that is found again in what comes back, to a fraction of a sample.

The delay of a path is where the envelope of the marker's cross-correlation is greatest: the
strongest arrival of the path's impulse response within the marker's band. The envelope does not
care about polarity or phase, so a filter or a network on the way moves it only by its own delay.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Signal = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

MARKER_S = 0.016
LOWEST_HZ, HIGHEST_HZ = 400.0, 6400.0
LEVEL = 0.25
"""Of full scale, at its peak: loud above noise, and not so loud that an amplifier bends it much."""
EDGE_SHARE = 0.25
FIRST_S, PAUSE_S, PERIOD_S, RETURN_S = 0.3, 1.0, 0.25, 0.3
LEAST_SCORE = 0.5
"""Noise within the band reaches 0.4 by chance in a window of 1 s; a clean path scores 1."""
MOST_RIVAL = 0.9
RIVAL_AFTER_S = 0.001
FINE_STEPS = 16


@dataclass(frozen=True)
class Found:
    """delay_frames: from the marker's emission, with a fraction. score: the cross-correlation over
    the energies of both, 1 where what came back is the marker itself. rival: the height of the next
    peak more than 1 ms away, 1 where it is as high."""

    delay_frames: float
    score: float
    rival: float

    @property
    def clear(self) -> bool:
        """Whether the delay can be trusted."""
        return self.score >= LEAST_SCORE and self.rival <= MOST_RIVAL


def marker(sample_rate_hz: float) -> Signal:
    """16 ms of a sine that rises from 400 to 6,400 Hz (or 0.4 of the rate), faded in and out, so
    that its autocorrelation is one narrow peak."""
    frames = round(MARKER_S * sample_rate_hz)
    time_s = np.arange(frames) / sample_rate_hz
    highest_hz = min(HIGHEST_HZ, 0.4 * sample_rate_hz)
    rise = (highest_hz - LOWEST_HZ) / MARKER_S
    sweep = np.sin(2.0 * math.pi * (LOWEST_HZ + 0.5 * rise * time_s) * time_s)
    edge = round(EDGE_SHARE * frames)
    window = np.ones(frames)
    window[:edge] = 0.5 - 0.5 * np.cos(math.pi * (np.arange(edge) + 0.5) / edge)
    window[-edge:] = window[:edge][::-1]
    signal: Signal = (LEVEL * window * sweep).astype(np.float32)
    return signal


def marker_train(frames: int, sample_rate_hz: float) -> list[int]:
    """First frames of markers in a measurement of `frames`. After the first there is a second's
    pause, in which the delay is found whatever it is; then four come a second, moved by up to
    15 ms, the same each time, so that none keeps step with the blocks. The last has time to come
    back."""
    random = np.random.default_rng(7)
    positions = [round(FIRST_S * sample_rate_hz)]
    next_s = FIRST_S + PAUSE_S
    while (next_s + PERIOD_S + RETURN_S) * sample_rate_hz <= frames:
        positions.append(round((next_s + random.uniform(0.0, 0.015)) * sample_rate_hz))
        next_s += PERIOD_S
    return positions


def draw_markers(positions: Sequence[int], frames: int, sample_rate_hz: float) -> Signal:
    """Silence with a marker at each position: float32 [frames]."""
    signal = np.zeros(frames, np.float32)
    shape = marker(sample_rate_hz)
    for position in positions:
        room = min(len(shape), frames - position)
        signal[position : position + room] += shape[:room]
    return signal


def find_marker(
    heard: npt.NDArray[np.floating], sample_rate_hz: float, least_frames: int, most_frames: int
) -> Found | None:
    """The marker in `heard` [frames], which begins when the marker was emitted, with a delay of
    `least_frames` to `most_frames`. None where that stretch was not heard, or is silent."""
    shape = marker(sample_rate_hz).astype(np.float64)
    stretch = np.asarray(heard[max(0, least_frames) : most_frames + len(shape)], np.float64)
    if len(stretch) < 2 * len(shape):
        return None
    size = 1 << (len(stretch) + len(shape)).bit_length()
    spectrum = np.fft.rfft(stretch, size) * np.conj(np.fft.rfft(shape, size))
    spectrum[0] = 0.0
    envelope = np.abs(analytic(spectrum, size))[: len(stretch) - len(shape) + 1]
    peak = int(np.argmax(envelope))
    if envelope[peak] < 1e-9:
        return None
    delay = peak + fraction_at(spectrum, size, peak)
    part = stretch[peak : peak + len(shape)]
    energy = math.sqrt(float(part @ part) * float(shape @ shape))
    away = round(RIVAL_AFTER_S * sample_rate_hz)
    others = np.concatenate([envelope[: max(0, peak - away)], envelope[peak + away + 1 :]])
    return Found(
        delay_frames=max(0, least_frames) + delay,
        score=min(1.0, float(envelope[peak]) / max(energy, 1e-12)),
        rival=float(others.max(initial=0.0) / envelope[peak]),
    )


def analytic(spectrum: npt.NDArray[np.complex128], size: int) -> npt.NDArray[np.complex128]:
    """The signal of this one-sided spectrum with its Hilbert transform as imaginary part."""
    whole = np.zeros(size, np.complex128)
    whole[: len(spectrum)] = 2.0 * spectrum
    signal: npt.NDArray[np.complex128] = np.fft.ifft(whole)
    return signal


def fraction_at(spectrum: npt.NDArray[np.complex128], size: int, peak: int) -> float:
    """How far beside sample `peak` the envelope is greatest, -1 to 1: evaluated between the samples
    from the spectrum, which is exact for what is band-limited, then a parabola through the best."""
    loud = np.flatnonzero(np.abs(spectrum) > 1e-4 * np.abs(spectrum).max())
    bins, spectrum = loud * (2.0 * math.pi / size), spectrum[loud]
    offsets = np.linspace(-1.0, 1.0, FINE_STEPS + 1)
    turned = spectrum * np.exp(1j * bins * peak)
    heights = np.abs(np.exp(1j * np.outer(offsets, bins)) @ turned)
    best = int(np.clip(np.argmax(heights), 1, FINE_STEPS - 1))
    before, at, after = heights[best - 1 : best + 2]
    bend = before - 2.0 * at + after
    shift = 0.0 if bend >= 0.0 else 0.5 * (before - after) / bend
    return float(offsets[best] + shift * (offsets[1] - offsets[0]))
