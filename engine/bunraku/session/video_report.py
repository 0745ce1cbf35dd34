"""What the picture's half of a performance counted and measured; docs/video.md defines it all."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from bunraku.session.live_report import Quantiles


@dataclass(frozen=True)
class EffectFigures:
    """error: what switched it off, or an empty text."""

    name: str
    tier: str
    tiers: tuple[str, ...]
    run_ms: Quantiles
    error: str = ""


@dataclass(frozen=True)
class SinkFigures:
    """name: a recording's file, else the sink's kind. error: why it shows no more, or an empty
    text. The frames of sound are a recording's, 0 elsewhere."""

    name: str
    shown: int
    dropped: int
    error: str = ""
    dropped_sound_frames: int = 0
    silent_frames: int = 0
    cut_frames: int = 0


@dataclass(frozen=True)
class VideoReport:
    """captured = shown + replaced + skipped + failed + delay_dropped, but for frames under way;
    source_dropped were never captured, filled made up by interpolation. Latencies run from capture
    to the hand-over to the sinks, with what interpolation adds; a delay added to stay in step with
    the voice is not in. sinks: the latest of those that were taken away, then those there are."""

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
    delay_dropped: int
    filled: int
    source_dropped: int
    source_corrupt: int
    latency_ms: Quantiles
    run_ms: Quantiles
    budget_ms: float
    rung: int
    rungs: int
    rung_changes: int
    effects: tuple[EffectFigures, ...]
    sinks: tuple[SinkFigures, ...]

    @property
    def on_time_share(self) -> float:
        """Of the frames that the source had, those shown within the budget; one that a lower
        quality skipped counts as not on time, and one that was late and then left out twice."""
        had = self.captured + self.source_dropped
        return max(0, self.shown - self.late) / had if had else 1.0

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "on_time_share": self.on_time_share}
