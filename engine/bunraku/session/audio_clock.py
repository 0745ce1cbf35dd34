"""The performance's clock: the audio hardware's frames mapped to monotonic time.

A sound card's crystal is the only clock that must not slip, so it is the one that counts; cameras
and files are told when its frames fall. Callbacks wake late by an amount that jitters; a second
order delay-locked loop (Adriaensen, "Using a DLL to filter time", 2005) keeps the rate and drops
the jitter. The loop is fed points as they are read, not one for each block.
"""

from __future__ import annotations

import math

from bunraku.streaming.audio_block import NS_PER_S

BANDWIDTH_HZ = 0.1
FAST_BANDWIDTH_HZ = 2.0
SETTLE_S = 2.0
JUMP_NS = 200_000_000
SLIP_NS, SLIP_AFTER_NS = 20_000_000, 500_000_000
"""Frames that were lost show as an error that stays: of a callback that only woke late it goes."""
MOST_RATE_ERROR = 0.01


class AudioClock:
    """Feed `observe` from one thread; the questions may be asked from any."""

    def __init__(self, sample_rate_hz: float) -> None:
        self.sample_rate_hz = sample_rate_hz
        self._nominal_ns = NS_PER_S / sample_rate_hz
        self._line: tuple[int, float, float] | None = None  # frame, its time, ns for each frame
        self._began_ns = 0.0
        self._off_since_ns: float | None = None  # since when the error is large, and on one side
        self._off_late = False
        self.jumps = 0

    @property
    def started(self) -> bool:
        return self._line is not None

    @property
    def rate_hz(self) -> float:
        """The frames that really go by in a second of monotonic time."""
        return NS_PER_S / (self._line[2] if self._line else self._nominal_ns)

    def observe(self, frame: int, time_ns: int) -> None:
        """`frame` began to be processed at `time_ns`, or a little before. A point that was seen
        already, or of a time before the first callback, is ignored."""
        if time_ns == 0 or (self._line is not None and frame == self._line[0]):
            return
        if self._line is None:
            self._begin(frame, time_ns)
            return
        last_frame, last_ns, ns_a_frame = self._line
        expected_ns = last_ns + (frame - last_frame) * ns_a_frame
        error_ns = time_ns - expected_ns
        slipped = self._slipped(error_ns, time_ns)
        if frame < last_frame or abs(error_ns) > JUMP_NS or slipped:
            self.jumps += 1  # the device was away, it lost frames, or the machine slept
            self._begin(frame, time_ns)
            return
        elapsed_s = (frame - last_frame) * self._nominal_ns / NS_PER_S
        omega = 2.0 * math.pi * self._bandwidth_hz(expected_ns) * elapsed_s
        omega = min(omega, 0.5)  # a long silence between two points must not make the loop ring
        rate = ns_a_frame + omega * omega * error_ns / (frame - last_frame)
        low, high = (
            (1 - MOST_RATE_ERROR) * self._nominal_ns,
            (1 + MOST_RATE_ERROR) * self._nominal_ns,
        )
        self._line = (
            frame,
            expected_ns + math.sqrt(2.0) * omega * error_ns,
            min(max(rate, low), high),
        )

    def _slipped(self, error_ns: float, time_ns: int) -> bool:
        late = error_ns > 0
        if abs(error_ns) < SLIP_NS:
            self._off_since_ns = None
        elif self._off_since_ns is None or late != self._off_late:
            self._off_since_ns, self._off_late = time_ns, late
        return self._off_since_ns is not None and time_ns - self._off_since_ns > SLIP_AFTER_NS

    def _begin(self, frame: int, time_ns: int) -> None:
        self._off_since_ns = None
        self._line = (frame, float(time_ns), self._nominal_ns)
        self._began_ns = float(time_ns)

    def _bandwidth_hz(self, now_ns: float) -> float:
        """Quick to lock, then slow to be moved."""
        share = min(1.0, (now_ns - self._began_ns) / (SETTLE_S * NS_PER_S))
        ratio: float = (BANDWIDTH_HZ / FAST_BANDWIDTH_HZ) ** share
        return FAST_BANDWIDTH_HZ * ratio

    def time_ns_of(self, frame: float) -> int:
        """When that frame is, was or will be processed. Only once `started`."""
        assert self._line is not None, "the clock has seen a callback"
        at, time_ns, ns_a_frame = self._line
        return round(time_ns + (frame - at) * ns_a_frame)

    def frame_at(self, time_ns: int) -> float:
        """The inverse of `time_ns_of`."""
        assert self._line is not None, "the clock has seen a callback"
        at, line_ns, ns_a_frame = self._line
        return at + (time_ns - line_ns) / ns_a_frame
