"""What a performance of voice and picture looks like on a terminal: a line while it plays, tables
after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bunraku.cli.terminal_view import TerminalView, rows
from bunraku.measure.latency_table import count_rows, latency_rows, quantile_row

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from bunraku.session.performance import Performance, PerformanceReport
    from bunraku.session.video_report import SinkFigures, VideoReport


class PerformanceView(TerminalView["Performance"]):
    """One line of how picture and voice are doing."""

    def line(self, performance: Performance) -> str:
        return "  ".join(summary(performance.report()))

    def shown(self, performance: Performance) -> RenderableType:
        return rows(*summary(performance.report()))


def summary(report: PerformanceReport) -> list[str]:
    """What goes on, each part within 80 columns."""
    parts = []
    if report.picture is not None:
        picture = report.picture
        parts.append(
            f"picture {picture.shown:,} shown, {100 * picture.on_time_share:.1f} % on time,"
            f" {picture.latency_ms.p50:.0f} ms, quality {picture.rungs - picture.rung} of"
            f" {picture.rungs}"
        )
    if report.voice is not None:
        voice = report.voice
        skew = "" if report.sync is None else f"  skew {report.sync.skew_ms:+.0f} ms"
        parts.append(f"voice {voice.misses:,} misses, {voice.output_underflows:,} underflows{skew}")
    return [f"{report.seconds:.1f} s  {parts[0]}", *parts[1:]]


def print_report(report: PerformanceReport) -> None:
    """The tables at the end, on standard output."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    if report.voice is not None:
        voice = Table(title="Voice", title_justify="left", show_header=False)
        for row in count_rows(report.voice):
            voice.add_row(*row)
        console.print(voice)
    if report.picture is not None:
        picture = Table(title="Picture", title_justify="left", show_header=False)
        for name, value in picture_rows(report.picture):
            picture.add_row(name, value)
        console.print(picture)
    console.print(latency_table(report))


def picture_rows(picture: VideoReport) -> list[tuple[str, str]]:
    """(what, figure) of a picture's report."""
    return [
        ("size", f"{picture.width}x{picture.height} at {picture.rate_hz:g} Hz"),
        ("frames shown", f"{picture.shown:,} of {picture.captured + picture.source_dropped:,}"),
        ("on time", f"{100 * picture.on_time_share:.1f} % within {picture.budget_ms:.0f} ms"),
        ("late", f"{picture.late:,}"),
        ("replaced by newer", f"{picture.replaced:,}"),
        ("left out by quality", f"{picture.skipped:,}"),
        ("failed", f"{picture.failed:,}"),
        *(
            (name, f"{count:,}")
            for name, count in (
                ("left out while held for the voice", picture.delay_dropped),
                ("made up by interpolation", picture.filled),
            )
            if count
        ),
        ("quality now", f"{picture.rungs - picture.rung} of {picture.rungs}"),
        ("quality changes", f"{picture.rung_changes:,}"),
        *(
            (f"effect {effect.name}", effect.error or f"{effect.tier}")
            for effect in picture.effects
        ),
        *((sink.name, sink_row(sink)) for sink in picture.sinks),
    ]


def sink_row(sink: SinkFigures) -> str:
    """What a sink did, or why it does no more."""
    if sink.error:
        return sink.error
    parts = [f"{sink.shown:,} shown", f"{sink.dropped:,} left out"]
    sound = {
        "lost": sink.dropped_sound_frames,
        "silent": sink.silent_frames,
        "cut": sink.cut_frames,
    }
    if any(sound.values()):
        counts = ", ".join(f"{count:,} {what}" for what, count in sound.items() if count)
        parts.append(f"frames of sound: {counts}")
    return ", ".join(parts)


def latency_table(report: PerformanceReport) -> Table:
    """Milliseconds at the quantiles, of both halves."""
    from rich.table import Table

    table = Table(title="Milliseconds", title_justify="left")
    for column in ("", "p50", "p99", "p99.9", "max"):
        table.add_column(column, justify="left" if not column else "right")
    if report.voice is not None:
        for row in latency_rows(report.voice):
            table.add_row(*row)
    if report.picture is not None:
        quantiles = {
            "picture, capture to shown": report.picture.latency_ms,
            "picture, all effects": report.picture.run_ms,
            **{f"  {effect.name}": effect.run_ms for effect in report.picture.effects},
        }
        for name, value in quantiles.items():
            table.add_row(*quantile_row(name, value))
    return table
