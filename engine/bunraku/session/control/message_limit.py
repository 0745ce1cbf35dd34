"""Messages to a performer, however fast a controller errs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from bunraku.streaming.rate_limit import RateLimit

MOST_PER_S = 5.0
BURST = 20
SAME_AGAIN_NS = 1_000_000_000
MOST_CHARACTERS = 400


class MessageLimit:
    """Any thread. Hands on at most five messages a second, the same one at most once a second,
    without characters that would move a terminal's cursor; `dropped` counts the rest. What must
    arrive is handed on whatever came before it."""

    def __init__(
        self,
        hand_on: Callable[[str], object],
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._hand_on = hand_on
        self._now_ns = now_ns
        self._lock = threading.Lock()
        self._limit = RateLimit(MOST_PER_S, BURST)
        self._last: tuple[str, int] | None = None
        self.dropped = 0

    def say(self, text: str, must_arrive: bool = False) -> None:
        shown = "".join(one if one.isprintable() else " " for one in text[:MOST_CHARACTERS])
        with self._lock:
            now_ns = self._now_ns()
            same = self._last is not None and self._last[0] == shown
            again = same and self._last is not None and now_ns - self._last[1] < SAME_AGAIN_NS
            allowed = self._limit.allows(now_ns)
            if not must_arrive and (again or not allowed):
                self.dropped += 1
                return
            self._last = shown, now_ns
        self._hand_on(shown)
