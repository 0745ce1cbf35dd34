"""The One-Euro filter: still when the hand is still, quick when it moves.

Casiez, Roussel and Vogel, "1€ Filter: A Simple Speed-based Low-pass Filter for Noisy Input in
Interactive Systems" (2012).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float32]
MAX_GAP_S = 0.5


class OneEuro:
    """Smooths an array of any shape, element by element.

    min_cutoff_hz: at rest; beta: how much the cutoff rises with speed, in Hz for each unit a
    second; speed_cutoff_hz: smoothing of the speed itself.
    """

    def __init__(self, min_cutoff_hz: float, beta: float, speed_cutoff_hz: float = 1.0) -> None:
        self._min_cutoff_hz = min_cutoff_hz
        self._beta = beta
        self._speed_cutoff_hz = speed_cutoff_hz
        self._time_ns = 0
        self._value: Values | None = None
        self._speed: Values | None = None

    def step(self, value: Values, time_ns: int, unit: float = 1.0) -> Values:
        """The smooth value at `time_ns`; speeds are counted in `unit`s a second. After a gap of
        half a second or a step back in time it begins anew."""
        gap_s = (time_ns - self._time_ns) / 1e9
        self._time_ns = time_ns
        if self._value is None or self._speed is None or not 0 < gap_s <= MAX_GAP_S:
            self._value, self._speed = value, np.zeros_like(value)
            return value
        speed = (value - self._value) / np.float32(gap_s * unit)
        self._speed = self._speed + _share(self._speed_cutoff_hz, gap_s) * (speed - self._speed)
        cutoff_hz = np.float32(self._min_cutoff_hz) + np.float32(self._beta) * np.abs(self._speed)
        self._value = self._value + _share(cutoff_hz, gap_s) * (value - self._value)
        return self._value


def _share(cutoff_hz: float | Values, gap_s: float) -> Values:
    turned = np.float32(2 * math.pi * gap_s) * np.asarray(cutoff_hz, np.float32)
    share: Values = turned / (turned + np.float32(1))
    return share
