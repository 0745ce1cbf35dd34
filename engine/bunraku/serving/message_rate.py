"""How much one connection may send, and how often it may be wrong."""

from __future__ import annotations

from bunraku.serving.limits import MOST_FAULTS
from bunraku.streaming.audio_block import NS_PER_S


class TokenBucket:
    """Lets `burst` messages through at once and `per_s` in the long run."""

    def __init__(self, per_s: float, burst: int) -> None:
        self._per_ns = per_s / NS_PER_S
        self._burst = float(burst)
        self._tokens = float(burst)
        self._last_ns = 0

    def allows(self, now_ns: int) -> bool:
        """Whether one more message at `now_ns` (monotonic) is within the rate; then it counts."""
        refill = (now_ns - self._last_ns) * self._per_ns if self._last_ns else 0.0
        self._tokens = min(self._burst, self._tokens + refill)
        self._last_ns = now_ns
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


class Faults:
    """Counts what was malformed or too much; `too_many` ends the connection."""

    def __init__(self, most: int = MOST_FAULTS) -> None:
        self.count = 0
        self._most = most

    def add(self) -> None:
        self.count += 1

    @property
    def too_many(self) -> bool:
        return self.count >= self._most
