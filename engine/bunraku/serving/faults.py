"""How often one connection may be wrong."""

from __future__ import annotations

from bunraku.serving.limits import MOST_FAULTS


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
