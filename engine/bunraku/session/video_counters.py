"""Counts what became of each frame; the report is made of it."""

from __future__ import annotations

from collections.abc import Sequence

from bunraku import _native
from bunraku.effects.video.chain import VideoChain
from bunraku.io.video_source import VideoSink, VideoSource
from bunraku.io.video_writer import VideoWriter
from bunraku.session.live_report import Quantiles
from bunraku.session.presenter import Presenter
from bunraku.session.video_report import EffectFigures, SinkFigures, VideoReport

MOST_SINKS_KEPT = 32


class VideoCounters:
    """`captured` and `skipped` are the source thread's, the rest the inference thread's; any thread
    reads."""

    def __init__(self) -> None:
        self.captured = self.shown = self.late = self.replaced = self.skipped = self.failed = 0
        self.filled = 0
        self._left_sinks: tuple[SinkFigures, ...] = ()
        self._latency = _native.DurationHistogram()
        self._run = _native.DurationHistogram()
        self._effects: dict[str, _native.DurationHistogram] = {}
        self._began_ns: int | None = None
        self._ended_ns: int | None = None

    def begin(self, now_ns: int) -> None:
        self._began_ns = now_ns

    def end(self, now_ns: int) -> None:
        self._ended_ns = now_ns

    def count_shown(self, latency_ns: int, run_ns: int, late: bool) -> None:
        self.shown += 1
        self.late += late
        self._latency.add(max(0, latency_ns))
        self._run.add(max(0, run_ns))

    def count_effect(self, name: str, cost_ns: int) -> None:
        if name not in self._effects:
            self._effects[name] = _native.DurationHistogram()
        self._effects[name].add(max(0, cost_ns))

    def keep(self, sink: VideoSink) -> None:
        """One that is taken away: its figures stay."""
        self._left_sinks = (*self._left_sinks, sink_figures(sink))[-MOST_SINKS_KEPT:]

    def report(
        self,
        *,
        source: VideoSource,
        chain: VideoChain,
        budget_ns: int,
        rung: int,
        rungs: int,
        rung_changes: int,
        sinks: Sequence[VideoSink],
        presenter: Presenter,
        now_ns: int,
    ) -> VideoReport:
        began_ns = self._began_ns if self._began_ns is not None else now_ns
        ended_ns = self._ended_ns if self._ended_ns is not None else now_ns
        return VideoReport(
            width=source.size[0],
            height=source.size[1],
            rate_hz=source.rate_hz,
            seconds=(ended_ns - began_ns) / 1e9,
            captured=self.captured,
            shown=self.shown - presenter.dropped - presenter.failed,
            late=self.late,
            replaced=self.replaced,
            skipped=self.skipped,
            failed=self.failed + presenter.failed,
            delay_dropped=presenter.dropped,
            filled=self.filled,
            source_dropped=source.dropped,
            source_corrupt=source.corrupt,
            latency_ms=Quantiles.from_summary(self._latency.summary()),
            run_ms=Quantiles.from_summary(self._run.summary()),
            budget_ms=budget_ns / 1e6,
            rung=rung,
            rungs=rungs,
            rung_changes=rung_changes,
            effects=tuple(self._effect_figures(chain, name) for name in chain.tiers),
            sinks=(*self._left_sinks, *(sink_figures(sink) for sink in sinks)),
        )

    def _effect_figures(self, chain: VideoChain, name: str) -> EffectFigures:
        histogram = self._effects.get(name)
        names = chain.tier_names(name)
        return EffectFigures(
            name=name,
            tier=names[chain.tiers[name]],
            tiers=names,
            run_ms=Quantiles.from_summary(histogram.summary()) if histogram else Quantiles(),
            error=named_error(chain.errors[name]) if name in chain.errors else "",
        )


def named_error(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def sink_figures(sink: VideoSink) -> SinkFigures:
    """What it counted so far."""
    error = "" if sink.error is None else str(sink.error)
    if isinstance(sink, VideoWriter):
        return SinkFigures(
            name=sink.path.name,
            shown=sink.shown,
            dropped=sink.dropped,
            error=error,
            dropped_sound_frames=sink.dropped_sound_frames,
            silent_frames=sink.silent_frames,
            cut_frames=sink.cut_frames,
        )
    return SinkFigures(type(sink).__name__, sink.shown, sink.dropped, error)
