"""What a live session looks like on a terminal: the meter while it plays, the table after it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bunraku.cli.terminal_view import TerminalView, rows
from bunraku.measure.latency_table import count_rows, latency_rows

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from bunraku.session.live_report import LiveReport
    from bunraku.session.live_session import LiveSession

FLOOR_DB = -60.0
BAR_CELLS = 40


class LiveView(TerminalView["LiveSession"]):
    """Levels and counters."""

    def __init__(self, title: str) -> None:
        super().__init__(title)
        self._peaks = [0.0, 0.0]

    def line(self, session: LiveSession) -> str:
        (_, in_rms), (_, out_rms) = session.meters()
        levels = f"in {decibels(in_rms):6.1f} dB  out {decibels(out_rms):6.1f} dB"
        return "  ".join([levels, *summary(session.report())])

    def shown(self, session: LiveSession) -> RenderableType:
        from rich.console import Group

        bars: list[Text] = []
        for i, (name, (peak, rms)) in enumerate(zip(("in ", "out"), session.meters(), strict=True)):
            self._peaks[i] = max(peak, self._peaks[i] * 0.85)  # falls about 14 dB a second
            bars.append(meter_bar(name, self._peaks[i], rms))
        return Group(*bars, rows(*summary(session.report())))


def decibels(level: float) -> float:
    return 20.0 * math.log10(max(level, 1e-6))


def cells(level: float) -> int:
    share = (decibels(level) - FLOOR_DB) / -FLOOR_DB
    return round(BAR_CELLS * min(1.0, max(0.0, share)))


def meter_bar(name: str, peak: float, rms: float) -> Text:
    """The level as a bar from -60 to 0 dB: green, yellow above -18, red above -6; | is the peak."""
    from rich.text import Text

    bar = Text(f"{name} ", style="bold")
    filled, mark = cells(rms), cells(peak)
    for i in range(BAR_CELLS):
        at_db = FLOOR_DB * (1.0 - i / BAR_CELLS)
        colour = "red" if at_db >= -6.0 else "yellow" if at_db >= -18.0 else "green"
        glyph = "█" if i < filled else "│" if i == mark - 1 else "·"
        bar.append(glyph, style=colour if glyph != "·" else "bright_black")
    bar.append(f" {decibels(rms):6.1f} dB")
    return bar


def summary(report: LiveReport) -> list[str]:
    """Counters, each part within 80 columns."""
    parts = [
        f"{report.seconds:.1f} s  blocks {report.blocks:,}  misses {report.misses:,}"
        f"  underflows {report.output_underflows:,}",
        f"compute p99 {report.compute_ms.p99:.2f} of {report.block_ms:.2f} ms",
    ]
    if report.bridge is not None:
        parts[-1] += f"  Python missed {report.bridge.missed:,}"
    return parts


def print_report(report: LiveReport) -> None:
    """The tables at the end of a session, on standard output."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    counts = Table(title="What happened", title_justify="left", show_header=False)
    counts.add_column(style="cyan")
    counts.add_column(justify="right")
    model = f"{report.model} ({report.isa})" if report.model else report.isa
    counts.add_row("model", model)
    counts.add_row("sound", f"{report.seconds:.2f} s at {report.sample_rate_hz:,} Hz")
    if report.device is not None:
        counts.add_row("device", report.device.name)
    for name, count in count_rows(report):
        counts.add_row(name, count)
    latency = Table(
        title="Latency, ms",
        title_justify="left",
        caption=latency_note(report),
        caption_justify="left",
    )
    latency.add_column("", style="cyan")
    for heading in ("p50", "p99", "p99.9", "max"):
        latency.add_column(heading, justify="right")
    for i, row in enumerate(latency_rows(report)):
        latency.add_row(*row, style="bold" if i == 0 else "")
    console.print(counts)
    console.print(latency)


def latency_note(report: LiveReport) -> str:
    """What the sum is the sum of."""
    parts = "declared delays + wake-up + compute" if report.wake_up_ms else "declared + compute"
    return f"added latency = {parts}; the block itself and the device's buffers come on top"
