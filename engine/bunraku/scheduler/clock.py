"""The time that policies see: the machine's, or a simulated one that tests and replays move."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Nanoseconds that never go back; only differences mean something."""

    def now_ns(self) -> int: ...


class MonotonicClock:
    """The machine's monotonic time, the same as frames and audio blocks carry."""

    def now_ns(self) -> int:
        return time.monotonic_ns()


class SimulatedClock:
    """Stands still until it is moved."""

    def __init__(self, now_ns: int = 0) -> None:
        self._now_ns = now_ns

    def now_ns(self) -> int:
        return self._now_ns

    def advance(self, duration_ns: int) -> None:
        assert duration_ns >= 0, "time does not go back"
        self._now_ns += duration_ns

    def advance_to(self, time_ns: int) -> None:
        """To `time_ns`; a time already past changes nothing."""
        self._now_ns = max(self._now_ns, time_ns)
