"""`bunraku live PRESET`: a whole performance, voice and picture, from its preset."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bunraku.cli.reporting import show_report
from bunraku.cli.signals import terminate_like_interrupt

if TYPE_CHECKING:
    from bunraku.formats.performance_shape import PerformancePreset
    from bunraku.session.performance import Performance, PerformanceReport


@dataclass(frozen=True)
class Ending:
    """How long it plays, and where it is recorded."""

    seconds: float | None = None
    out: Path | None = None
    overwrite: bool = False


def perform_preset(path: Path, ending: Ending, as_json: bool) -> None:
    """Play the preset at `path`, or of that name, until its end, `seconds`, its key to quit or
    Ctrl-C, and show the report."""
    from bunraku import presets
    from bunraku.formats.performance import read_performance

    path = presets.locate(path)
    preset = read_performance(path)
    title = f"bunraku live: {preset.name or path.stem}"
    report = play(preset, path, ending, title)
    from bunraku.cli.performance_view import print_report

    show_report(report, {"recording": ending.out}, print_report, as_json)


def play(
    preset: PerformancePreset, path: Path | None, ending: Ending, title: str
) -> PerformanceReport:
    from bunraku.cli.performance_view import PerformanceView
    from bunraku.session.control.inputs import open_desk
    from bunraku.session.open_performance import Wanted, open_performance

    view = PerformanceView(title)
    wanted = Wanted(record_to=ending.out, overwrite=ending.overwrite, seconds=ending.seconds)
    with terminate_like_interrupt(), view:
        opened = open_performance(preset, path, wanted, on_message=view.say)
        try:
            with (
                opened as performance,
                open_desk(performance, preset, path, on_message=view.say) as desk,
            ):

                def tick(performance: Performance) -> None:
                    view.tick(performance)
                    if desk.quit_requested:
                        raise KeyboardInterrupt

                performance.wait(seconds=ending.seconds, on_tick=tick)
        except KeyboardInterrupt:
            view.say("ending")
        finally:
            opened.close()
    return opened.performance.report()
