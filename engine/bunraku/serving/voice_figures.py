"""What a page shows of a voice, wherever it is heard."""

from __future__ import annotations

from dataclasses import dataclass

from bunraku.serving.recent_latency import RecentFigures
from bunraku.session.live_session import LiveSession

SILENT = (0.0, 0.0)
NOTHING_RUN = RecentFigures()


@dataclass(frozen=True)
class VoiceFigures:
    """lost: blocks that never came, by the gaps in their numbers, or underflows of a device. run:
    what a block takes. in_level, out_level: (peak since the last reading, root mean square), full
    scale 1."""

    sample_rate_hz: int = 0
    blocks: int = 0
    misses: int = 0
    lost: int = 0
    block_ms: float = 0.0
    declared_ms: float = 0.0
    run: RecentFigures = NOTHING_RUN
    in_level: tuple[float, float] = SILENT
    out_level: tuple[float, float] = SILENT


def figures_of(live: LiveSession | None) -> VoiceFigures:
    """Of a voice on this machine's devices; all zero for a performance without one."""
    if live is None:
        return VoiceFigures()
    report = live.report()
    in_level, out_level = live.meters()
    added = report.added_latency_ms
    return VoiceFigures(
        sample_rate_hz=report.sample_rate_hz,
        blocks=report.blocks,
        misses=report.misses,
        lost=report.output_underflows,
        block_ms=report.block_ms,
        declared_ms=report.declared_ms,
        run=RecentFigures(report.blocks, added.p50, added.p99),
        in_level=in_level,
        out_level=out_level,
    )
