"""Latencies in the order in which they were measured, and what is said of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class LatencyFigures:
    """Milliseconds. jitter is p99 less p50; a drift shows in min to max alone. All 0 where nothing
    was measured."""

    count: int = 0
    min: float = 0.0
    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0
    max: float = 0.0
    jitter: float = 0.0

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


@dataclass(frozen=True)
class LatencySeries:
    """times_s[k]: seconds since the measurement began at which latencies_ms[k] was measured."""

    times_s: tuple[float, ...]
    latencies_ms: tuple[float, ...]

    @classmethod
    def of(cls, points: Sequence[tuple[float, float]]) -> LatencySeries:
        """From (seconds, milliseconds) pairs."""
        return cls(tuple(float(p[0]) for p in points), tuple(float(p[1]) for p in points))

    def figures(self) -> LatencyFigures:
        if not self.latencies_ms:
            return LatencyFigures()
        p50, p95, p99 = np.percentile(self.latencies_ms, [50.0, 95.0, 99.0])
        return LatencyFigures(
            count=len(self.latencies_ms),
            min=min(self.latencies_ms),
            p50=float(p50),
            p95=float(p95),
            p99=float(p99),
            max=max(self.latencies_ms),
            jitter=float(p99 - p50),
        )

    def as_dict(self) -> dict[str, Any]:
        return {"times_s": list(self.times_s), "latencies_ms": list(self.latencies_ms)}
