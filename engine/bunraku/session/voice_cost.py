"""What the blocks of a voice cost the scheduler's audio thread, measured before it plays."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from bunraku.effects.audio.python_effect import AudioEffect, run_effects
from bunraku.streaming.audio_block import NS_PER_S

RUNS = 16
MOST_SECONDS = 0.5
NOISE_PEAK = 0.1

Block = npt.NDArray[np.float32]


def effects_cost_ns(effects: Sequence[AudioEffect], frames: int) -> int:
    """Nanoseconds for one block of `frames` through all of them, which are reset afterwards. 0
    where one fails: it will again, and is told of, when it plays."""
    channels = effects[0].channels if effects else 1
    try:
        return least_ns(lambda block: run_effects(effects, block), channels, frames)
    except Exception:  # whatever somebody's effect raises
        return 0
    finally:
        for effect in effects:
            effect.reset()


def least_ns(run: Callable[[Block], object], channels: int, frames: int) -> int:
    """The least of 16 runs on noise `[channels, frames]`, or of as many as half a second allows: a
    busy moment of the machine is not its cost. What is refused by it could never have been kept."""
    random = np.random.default_rng(1)
    noise = random.uniform(-NOISE_PEAK, NOISE_PEAK, (channels, frames)).astype(np.float32)
    end_ns = time.monotonic_ns() + round(MOST_SECONDS * NS_PER_S)
    least = 0
    for number in range(RUNS):
        began_ns = time.monotonic_ns()
        run(noise.copy())
        took_ns = time.monotonic_ns() - began_ns
        least = took_ns if number == 0 else min(least, took_ns)
        if time.monotonic_ns() > end_ns:
            break
    return least
