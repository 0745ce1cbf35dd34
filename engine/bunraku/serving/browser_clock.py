"""The browser's clock on the server's: what it says of capture times becomes monotonic time."""

from __future__ import annotations

import threading
from collections import deque

NS_PER_MS = 1_000_000
REMEMBERED = 60
MOST_WAY_NS = 2_000_000_000


class BrowserClock:
    """`observe` each time the browser tells what its clock shows; any thread.

    A message arrives later than it was sent by an unknown way; the shortest of the last 60 counts,
    which on a machine or a network of one's own is a millisecond or less. Sound and picture are
    mapped alike, so what is left of it does not tell between them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._offsets_ns: deque[int] = deque(maxlen=REMEMBERED)

    def observe(self, browser_ms: float, arrival_ns: int) -> None:
        """browser_ms: since the epoch, when it was sent; arrival_ns: monotonic. A clock that was
        set anew is begun with anew."""
        offset_ns = arrival_ns - round(browser_ms * NS_PER_MS)
        with self._lock:
            if self._offsets_ns and abs(offset_ns - min(self._offsets_ns)) > MOST_WAY_NS:
                self._offsets_ns.clear()
            self._offsets_ns.append(offset_ns)

    def monotonic_ns(self, browser_ms: float) -> int | None:
        """None before the browser told anything."""
        with self._lock:
            if not self._offsets_ns:
                return None
            return round(browser_ms * NS_PER_MS) + min(self._offsets_ns)
