"""The browser's clock on the server's: what it says of capture times becomes monotonic time."""

from __future__ import annotations

import threading
from collections import deque

NS_PER_MS = 1_000_000
REMEMBERED = 60
MOST_WAY_NS = 2_000_000_000
AGREEING = 5


class BrowserClock:
    """`observe` each time the browser tells what its clock shows; any thread.

    A message arrives later than it was sent by an unknown way; the shortest of the last 60 counts,
    which on a machine or a network of one's own is a millisecond or less. Sound and picture are
    mapped alike, so what is left of it does not tell between them. A clock that was set back is
    believed once five messages in a row agree on it: one alone was only late.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._offsets_ns: deque[int] = deque(maxlen=REMEMBERED)

    def observe(self, browser_ms: float, arrival_ns: int) -> None:
        """browser_ms: since the epoch, when it was sent; arrival_ns: monotonic, when it came."""
        with self._lock:
            self._offsets_ns.append(arrival_ns - round(browser_ms * NS_PER_MS))
            newest = list(self._offsets_ns)[-AGREEING:]
            apart_ns = min(newest) - min(self._offsets_ns)
            if len(newest) == AGREEING and apart_ns > MOST_WAY_NS > max(newest) - min(newest):
                self._offsets_ns.clear()
                self._offsets_ns.extend(newest)

    def monotonic_ns(self, browser_ms: float) -> int | None:
        """None before the browser told anything."""
        with self._lock:
            if not self._offsets_ns:
                return None
            return round(browser_ms * NS_PER_MS) + min(self._offsets_ns)
