"""How late the wet recording is against the dry one, whether it is upside down, whether they match.

The delay is the peak of the regularised deconvolution of wet by dry, which is sharp where a plain
cross-correlation of speech is broad. Whether both are one performance is told by their mean
magnitude-squared coherence: near 0 for strangers, whatever their spectra, and high for any circuit
that keeps some linear relation (Carter, "Coherence and time delay estimation", Proc. IEEE 75(2),
1987).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bunraku.errors import UserInputError

Audio = NDArray[np.float32]

SECONDS_USED = 60.0
DELAY_SECONDS_MAX = 1.0
REGULARISATION = 1e-2
"""Added to the dry power spectrum, relative to its mean: empty bands must not decide the delay."""
ONSET_SHARE = 0.5
"""The delay is the first sample near the peak that reaches this share of it."""
ONSET_SEARCH_SECONDS = 0.002
COHERENCE_MIN = 0.15
COHERENCE_FRAMES = 4096


@dataclass(frozen=True)
class Alignment:
    """What was found. `delay_frames` > 0: the wet file is late by so many frames."""

    delay_frames: int
    inverted: bool
    coherence: float
    """Mean magnitude-squared coherence after alignment, weighted by the wet spectrum, 0 to 1."""


def measure_alignment(dry: Audio, wet: Audio, rate: int) -> Alignment:
    """Delay, polarity and coherence of two equally long signals.

    Raises UserInputError when they do not look like the same performance.
    """
    x, y = loudest_part(dry, wet, round(SECONDS_USED * rate))
    delay, inverted = find_delay(x, y, rate)
    coherence = mean_coherence(*align(x, y, delay))
    if coherence < COHERENCE_MIN:
        raise UserInputError(
            f"dry and wet do not look like the same performance: coherence {coherence:.2f}, at "
            f"least {COHERENCE_MIN} is needed within {DELAY_SECONDS_MAX:g} s of delay: check that "
            "the files belong together and that the effect has no reverb or modulation"
        )
    return Alignment(delay, inverted, coherence)


def loudest_part(dry: Audio, wet: Audio, frames: int) -> tuple[Audio, Audio]:
    """The stretch of `frames` with the most dry energy, of both."""
    if len(dry) <= frames:
        return dry, wet
    energy = np.concatenate([[0.0], np.cumsum(np.square(dry, dtype=np.float64))])
    starts = np.arange(0, len(dry) - frames, max(1, frames // 60))
    start = int(starts[np.argmax(energy[starts + frames] - energy[starts])])
    return dry[start : start + frames], wet[start : start + frames]


def find_delay(dry: Audio, wet: Audio, rate: int) -> tuple[int, bool]:
    """Frames that `wet` is late (negative: early), and whether it is inverted."""
    size = 1 << int(np.ceil(np.log2(2 * len(dry))))
    x, y = np.fft.rfft(dry, size), np.fft.rfft(wet, size)
    power = np.abs(x) ** 2
    response = np.fft.irfft(np.conj(x) * y / (power + REGULARISATION * power.mean()), size)
    reach = min(round(DELAY_SECONDS_MAX * rate), len(dry) // 4)
    lags = np.arange(-reach, reach + 1)
    near = response[lags]
    peak = int(np.argmax(np.abs(near)))
    first = max(0, peak - round(ONSET_SEARCH_SECONDS * rate))
    strong = np.abs(near[first : peak + 1]) >= ONSET_SHARE * abs(near[peak])
    onset = first + int(np.argmax(strong))
    return int(lags[onset]), bool(near[peak] < 0)


def align(dry: Audio, wet: Audio, delay_frames: int) -> tuple[Audio, Audio]:
    """Both cut so that the wet one is no longer late (or early)."""
    if delay_frames > 0:
        return dry[: len(dry) - delay_frames], wet[delay_frames:]
    return dry[-delay_frames:], wet[: len(wet) + delay_frames]


def mean_coherence(dry: Audio, wet: Audio) -> float:
    """Welch's magnitude-squared coherence, averaged with the wet spectrum as weight."""
    n = COHERENCE_FRAMES
    window = np.hanning(n).astype(np.float32)
    cross = np.zeros(n // 2 + 1, np.complex128)
    dry_power, wet_power = np.zeros(n // 2 + 1), np.zeros(n // 2 + 1)
    for start in range(0, len(dry) - n, n // 2):
        x = np.fft.rfft(dry[start : start + n] * window)
        y = np.fft.rfft(wet[start : start + n] * window)
        cross += np.conj(x) * y
        dry_power += np.abs(x) ** 2
        wet_power += np.abs(y) ** 2
    coherence = np.abs(cross) ** 2 / np.maximum(dry_power * wet_power, 1e-30)
    return float(np.sum(coherence * wet_power) / max(float(np.sum(wet_power)), 1e-30))
