"""How often something may happen, with a reserve for bursts."""

from __future__ import annotations


class RateLimit:
    """A token bucket: `per_s` a second in the long run, at most `burst` at once. One thread."""

    def __init__(self, per_s: float, burst: int) -> None:
        self._per_s = per_s
        self._burst = float(burst)
        self._left = float(burst)
        self._at_s: float | None = None

    def allows(self, now_s: float) -> bool:
        """Whether one more may happen now; it is counted if so."""
        if self._at_s is not None:
            self._left = min(self._burst, self._left + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
