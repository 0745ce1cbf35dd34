"""How often something may happen, with a reserve for bursts."""

from __future__ import annotations

from bunraku.streaming.audio_block import NS_PER_S


class RateLimit:
    """A token bucket: `per_s` a second in the long run, at most `burst` at once. One thread."""

    def __init__(self, per_s: float, burst: int) -> None:
        self._per_ns = per_s / NS_PER_S
        self._burst = float(burst)
        self._left = float(burst)
        self._at_ns: int | None = None

    def allows(self, now_ns: int) -> bool:
        """Whether one more may happen at `now_ns` (monotonic); it is counted if so."""
        if self._at_ns is not None:
            self._left = min(self._burst, self._left + (now_ns - self._at_ns) * self._per_ns)
        self._at_ns = now_ns
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
