"""Plots of latencies as inline SVG, without a plotting package."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from bunraku.measure.latency_series import LatencyFigures, LatencySeries

WIDTH, HEIGHT = 880, 300
LEFT, RIGHT, TOP, BOTTOM = 64, 84, 30, 44
LINE_PX = 14
"""Of the plots' text."""
MOST_BARS = 48
LEAST_SPAN_MS = 0.05
"""Of an axis: so that differences which are nothing do not look like something."""
MOST_POINTS = 6000
MARKS = (("p50", "var(--calm)"), ("p95", "var(--warm)"), ("p99", "var(--hot)"))


class Axis:
    """Values of `low` to `high` onto pixels of `start` to `end`."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.high, self.start, self.end = low, high, start, end

    def at(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self, about: int) -> list[float]:
        """Round values within, about so many."""
        rough = (self.high - self.low) / max(1, about)
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * k for k in (1.0, 2.0, 5.0, 10.0) if power * k >= 0.999999 * rough)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [k * step for k in range(first, last + 1)]


def histogram_svg(series: LatencySeries, figures: LatencyFigures) -> str:
    """How many latencies fall where, with lines at the quantiles."""
    low, high = span_of(series.latencies_ms)
    bars = max(8, min(MOST_BARS, 2 * math.isqrt(len(series.latencies_ms))))
    counts, edges = np.histogram(series.latencies_ms, bins=bars, range=(low, high))
    across = Axis(low, high, LEFT, WIDTH - RIGHT)
    up = Axis(0.0, float(counts.max()) * 1.12, HEIGHT - BOTTOM, TOP)
    parts = [grid(across, up, "ms", "count", counts_on_y=True)]
    for k, count in enumerate(counts):
        if count:
            x, wide = across.at(edges[k]), across.at(edges[k + 1]) - across.at(edges[k])
            y = up.at(float(count))
            parts.append(
                f'<rect class="bar" x="{x + 0.75:.1f}" y="{y:.1f}" width="{max(1, wide - 1.5):.1f}"'
                f' height="{up.start - y:.1f}" rx="2"><title>{edges[k]:.3f} to {edges[k + 1]:.3f}'
                f" ms: {count}</title></rect>"
            )
    label_y = TOP + 8.0
    for name, colour in MARKS:
        value = getattr(figures, name)
        x = across.at(value)
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{up.start}" stroke="{colour}"'
            f' class="mark"/><text x="{x + 5:.1f}" y="{label_y:.0f}" fill="{colour}">{name}</text>'
        )
        label_y += 15.0
    return svg(parts, "Histogram of latencies")


def timeline_svg(series: LatencySeries, figures: LatencyFigures) -> str:
    """Each latency at its time, with the quantiles across."""
    low, high = span_of(series.latencies_ms)
    across = Axis(0.0, max(series.times_s[-1], 0.1) * 1.01, LEFT, WIDTH - RIGHT)
    up = Axis(low, high, HEIGHT - BOTTOM, TOP)
    parts = [grid(across, up, "seconds", "ms")]
    label_y = math.inf
    for name, colour in MARKS:
        value = getattr(figures, name)
        y = up.at(value)
        label_y = min(y + 4.0, label_y - 14.0)
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="{colour}"'
            f' class="mark"/><text x="{WIDTH - RIGHT + 6}" y="{label_y:.1f}" fill="{colour}">{name}'
            f" {number(value)}</text>"
        )
    for k in shown_points(series.latencies_ms):
        x, y = across.at(series.times_s[k]), up.at(series.latencies_ms[k])
        parts.append(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="2.4"/>')
    return svg(parts, "Latency over time")


def shown_points(values: Sequence[float]) -> list[int]:
    """All, or evenly chosen ones and the hundred greatest."""
    if len(values) <= MOST_POINTS:
        return list(range(len(values)))
    chosen = set(np.linspace(0, len(values) - 1, MOST_POINTS).astype(int).tolist())
    return sorted(chosen | set(np.argsort(values)[-100:].tolist()))


def span_of(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    room = max(0.08 * (high - low), 0.5 * (LEAST_SPAN_MS - (high - low)))
    return max(0.0, low - room), high + room


def grid(across: Axis, up: Axis, x_unit: str, y_unit: str, *, counts_on_y: bool = False) -> str:
    parts = []
    for value in up.ticks(5):
        if counts_on_y and value != round(value):
            continue
        y = up.at(value)
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>'
        )
    for value in across.ticks(8):
        x = across.at(value)
        parts.append(
            f'<text class="tick" x="{x:.1f}" y="{up.start + 18:.0f}" text-anchor="middle">'
            f"{round(value, 6):g}</text>"
        )
    parts.append(
        f'<line class="base" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{up.start}" y2="{up.start}"/>'
        f'<text class="unit" x="{WIDTH - RIGHT}" y="{HEIGHT - 6}" text-anchor="end">{x_unit}</text>'
        f'<text class="unit" x="{LEFT - 8}" y="{TOP - LINE_PX - 4}" text-anchor="end">{y_unit}'
        "</text>"
    )
    return "".join(parts)


def number(value: float) -> str:
    return f"{value:.3f}" if value < 10 else f"{value:.2f}" if value < 100 else f"{value:.1f}"


def svg(parts: Sequence[str], title: str) -> str:
    opening = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}">'
    return f"{opening}{''.join(parts)}</svg>"
