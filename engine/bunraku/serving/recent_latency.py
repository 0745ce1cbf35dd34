"""Latencies of the last seconds: what a chart shows that should move."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from bunraku.streaming.audio_block import NS_PER_S

WINDOW_NS = 2 * NS_PER_S
MOST_VALUES = 2048


@dataclass(frozen=True)
class RecentFigures:
    """Milliseconds, nearest rank; count: of values in the window."""

    count: int = 0
    p50: float = 0.0
    p99: float = 0.0


class RecentLatency:
    """`add` from one thread, `figures` from any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: deque[tuple[int, int]] = deque(maxlen=MOST_VALUES)

    def add(self, now_ns: int, latency_ns: int) -> None:
        with self._lock:
            self._values.append((now_ns, latency_ns))

    def figures(self, now_ns: int) -> RecentFigures:
        with self._lock:
            while self._values and self._values[0][0] < now_ns - WINDOW_NS:
                self._values.popleft()
            ordered = sorted(latency_ns for _, latency_ns in self._values)
        if not ordered:
            return RecentFigures()
        last = len(ordered) - 1
        at = [ordered[min(last, int(share * len(ordered)))] / 1e6 for share in (0.5, 0.99)]
        return RecentFigures(len(ordered), at[0], at[1])
