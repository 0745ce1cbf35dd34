"""What `av_soak.py` saw, judged against what was asked, and drawn."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from av_source import Event
    from bunraku.session.performance import Performance, PerformanceReport

LEAST_ON_TIME, MOST_SKEW_MS = 0.95, 10.0
HOG_S, HOG_EVERY_S = 5.0, 20.0


@dataclass
class Log:
    """began: monotonic seconds; shown: (seconds, latency in ms); rungs: (seconds, rung);
    underflows: (seconds, how many so far) at each new one; hogs: monotonic seconds at which the
    other process began. highest_load: of the last minute's average."""

    began: float = 0.0
    shown: list[tuple[float, float]] = field(default_factory=list)
    rungs: list[tuple[float, int]] = field(default_factory=list)
    underflows: list[tuple[float, int]] = field(default_factory=list)
    hogs: list[float] = field(default_factory=list)
    highest_load: float = 0.0

    def watch(self, performance: Performance) -> None:
        """Beside what the performance itself does with each frame's latency."""
        picture = performance.picture
        assert picture is not None
        self.began = time.monotonic()
        before = picture.on_shown

        def on_shown(latency_ns: int) -> None:
            before(latency_ns)
            self.shown.append((time.monotonic() - self.began, latency_ns / 1e6))

        picture.on_shown = on_shown

    def tick(self, performance: Performance) -> None:
        assert performance.picture is not None
        assert performance.voice is not None
        now_s = time.monotonic() - self.began
        self.highest_load = max(self.highest_load, os.getloadavg()[0])
        self.rungs.append((now_s, performance.picture.report().rung))
        underflows = performance.voice.report().output_underflows
        if underflows != (self.underflows[-1][1] if self.underflows else 0):
            self.underflows.append((now_s, underflows))

    def hog_spans(self) -> list[tuple[float, float]]:
        return [(at - self.began, at - self.began + HOG_S) for at in self.hogs]


def skew_figures(events: list[Event]) -> dict[str, Any]:
    """Of flashes whose first frame is in the recording; the others begin a frame or more late
    because that frame was left out, which is no skew."""
    skews = np.abs([e.skew_ms for e in events if e.whole])
    if len(skews) == 0:
        return {"flashes": len(events), "whole": 0}
    return {
        "flashes": len(events),
        "whole": len(skews),
        "median_ms": float(np.median(skews)),
        "p99_ms": float(np.percentile(skews, 99)),
        "max_ms": float(skews.max()),
        "all_flashes_max_ms": float(max(abs(e.skew_ms) for e in events)),
    }


def rung_figures(log: Log, changes: int) -> dict[str, Any]:
    rungs = np.array([rung for _, rung in log.rungs])
    figures: dict[str, Any] = {
        "changes": changes,
        "first": int(rungs[0]),
        "last": int(rungs[-1]),
        "highest": int(rungs.max()),
        "share_of_time": {
            int(rung): round(float((rungs == rung).mean()), 4) for rung in np.unique(rungs)
        },
    }
    spans = log.hog_spans()
    if spans:
        figures["hogs"] = [hog_figures(log, begin, end) for begin, end in spans]
    return figures


def hog_figures(log: Log, begin: float, end: float) -> dict[str, Any]:
    """How the rungs went while the core was taken and until it was taken again."""
    before = [rung for at, rung in log.rungs if at < begin][-1:]
    during = [rung for at, rung in log.rungs if begin <= at < end]
    after = [rung for at, rung in log.rungs if end <= at < end + HOG_EVERY_S - HOG_S]
    return {
        "at_s": round(begin, 1),
        "before": before[0] if before else None,
        "lowest_quality_during": max(during, default=None),
        "returned_to": min(after, default=None),
    }


def is_back(hog: dict[str, Any]) -> bool:
    """The last one may not have had time for it."""
    before, after = hog["before"], hog["returned_to"]
    return before is None or after is None or after <= before


def judged(
    report: PerformanceReport, log: Log, events: list[Event], refused: dict[str, Any]
) -> dict[str, Any]:
    picture, voice = report.picture, report.voice
    assert picture is not None
    assert voice is not None
    skew = skew_figures(events)
    rungs = rung_figures(log, picture.rung_changes)
    hogs = rungs.get("hogs", [])
    returned = {"back at its quality after each hog": all(map(is_back, hogs))} if hogs else {}
    return {
        "on_time_share": picture.on_time_share,
        "underflows": voice.output_underflows,
        "underflows_seen_at": log.underflows,
        "misses": voice.misses,
        "skew": skew,
        "rungs": rungs,
        "refusal": refused,
        "asked": {
            "on_time_share >= 0.95": picture.on_time_share >= LEAST_ON_TIME,
            "underflows = 0": voice.output_underflows == 0,
            "skew max <= 10 ms": 0 <= skew.get("max_ms", np.inf) <= MOST_SKEW_MS,
            "one session too many is refused": bool(refused["message"]),
            **returned,
        },
    }


def draw(path: Path, log: Log, budget_ms: float, title: str) -> None:
    """Latency of each frame over time, with the rung below it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 6.4), dpi=110, facecolor="#12141c", layout="constrained")
    FigureCanvasAgg(figure)
    upper, lower = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [3, 1]})
    for axes in (upper, lower):
        axes.set_facecolor("#1a1d28")
        axes.tick_params(colors="#e8e6df")
        for side in axes.spines.values():
            side.set_color("#2b2f3d")
        for begin, end in log.hog_spans():
            axes.axvspan(begin, end, color="#e5636a", alpha=0.18, linewidth=0)
    seconds, latencies = zip(*log.shown, strict=True)
    upper.scatter(seconds, latencies, s=3, color="#f2a65a", linewidths=0)
    upper.axhline(budget_ms, color="#e5636a", linestyle="--", linewidth=1)
    upper.text(0.0, budget_ms, " late above", color="#e5636a", va="bottom", fontsize=9)
    upper.set_ylim(0.0, max(1.15 * budget_ms, 1.1 * float(np.percentile(latencies, 99.9))))
    upper.set_ylabel("capture to shown, ms", color="#e8e6df")
    at, rungs = zip(*log.rungs, strict=True)
    lower.step(at, rungs, where="post", color="#7fb8d6", linewidth=1.4)
    lower.set_ylim(max(rungs) + 0.6, -0.4)
    lower.set_ylabel("rung (0 best)", color="#e8e6df")
    lower.yaxis.get_major_locator().set_params(integer=True)
    lower.set_xlabel("seconds", color="#e8e6df")
    figure.suptitle(title, color="#e8e6df", fontweight="bold")
    figure.savefig(path)
