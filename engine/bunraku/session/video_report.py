"""What the picture's half of a performance counted and measured; docs/video.md defines it all."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from bunraku.session.live_report import Quantiles


@dataclass(frozen=True)
class EffectFigures:
    """errors: what switched it off, or an empty text."""

    name: str
    tier: str
    tiers: tuple[str, ...]
    run_ms: Quantiles
    error: str = ""


@dataclass(frozen=True)
class VideoReport:
    """captured = shown + replaced + skipped + failed, but for frames under way; source_dropped were
    never captured. Latencies run from capture to the hand-over to the sinks; a delay added to stay
    in step with the voice is not in."""

    width: int
    height: int
    rate_hz: float
    seconds: float
    captured: int
    shown: int
    late: int
    replaced: int
    skipped: int
    failed: int
    source_dropped: int
    source_corrupt: int
    latency_ms: Quantiles
    run_ms: Quantiles
    budget_ms: float
    rung: int
    rungs: int
    rung_changes: int
    effects: tuple[EffectFigures, ...]
    sink_drops: dict[str, int]

    @property
    def on_time_share(self) -> float:
        """Of the frames that the source had, those shown within the budget; one that a lower
        quality skipped counts as not on time."""
        had = self.captured + self.source_dropped
        return (self.shown - self.late) / had if had else 1.0

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "on_time_share": self.on_time_share}
