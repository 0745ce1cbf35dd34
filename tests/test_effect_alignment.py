"""Delay, polarity and likeness of a dry and a wet recording."""

from __future__ import annotations

import numpy as np
import pytest
from bunraku.errors import UserInputError

pytest.importorskip("torch", reason="training needs torch")
from bunraku.samples import SPEECH_PATH
from bunraku.training.effect_alignment import align, measure_alignment

RATE = 48_000


def speech() -> np.ndarray:
    soundfile = pytest.importorskip("soundfile", reason="reads the bundled speech")
    return soundfile.read(SPEECH_PATH, dtype="float32")[0]


def saturate(x: np.ndarray) -> np.ndarray:
    """tanh, then a one-pole low-pass: an effect with memory."""
    from scipy.signal import lfilter

    return lfilter([0.4], [1, -0.6], np.tanh(4 * x)).astype(np.float32)


def moved(x: np.ndarray, delay: int) -> np.ndarray:
    """`x` late by `delay` frames (early when negative), the same length."""
    silence = np.zeros(abs(delay), np.float32)
    return np.concatenate([silence, x])[: len(x)] if delay >= 0 else np.concatenate(
        [x[-delay:], silence]
    )  # fmt: skip


@pytest.mark.parametrize("delay", [0, 1, 37, 511, 4800, -1, -300])
@pytest.mark.parametrize("sign", [1, -1])
def test_finds_the_delay_and_the_polarity(delay: int, sign: int) -> None:
    dry = np.random.default_rng(3).standard_normal(8 * RATE).astype(np.float32) * 0.1
    found = measure_alignment(dry, np.float32(sign) * moved(saturate(dry), delay), RATE)
    assert found.delay_frames == delay
    assert found.inverted == (sign < 0)
    assert found.coherence > 0.7


@pytest.mark.parametrize("delay", [0, 37, 4800, -300])
def test_on_speech_it_is_never_late(delay: int) -> None:
    """The bundled speech ends at 8 kHz, which leaves two frames open; an estimate that is late
    would ask the model to look ahead, one that is early costs nothing."""
    dry = speech()
    found = measure_alignment(dry, -moved(saturate(dry), delay), RATE)
    assert delay - 2 <= found.delay_frames <= delay
    assert found.inverted
    assert found.coherence > 0.7


def test_aligned_signals_start_together() -> None:
    dry = speech()
    for delay in (123, -123):
        x, y = align(dry, moved(dry, delay), delay)
        assert len(x) == len(y) == len(dry) - 123
        assert np.array_equal(x, y)


def test_refuses_another_performance() -> None:
    dry = speech()
    with pytest.raises(UserInputError, match="same performance"):
        measure_alignment(dry, dry[::-1].copy(), RATE)
