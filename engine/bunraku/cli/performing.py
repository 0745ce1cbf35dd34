"""`bunraku live PRESET`: a whole performance, voice and picture, from its preset."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bunraku.cli.output_files import refuse_existing
from bunraku.cli.reporting import show_report
from bunraku.cli.signals import terminate_like_interrupt

if TYPE_CHECKING:
    from bunraku.cli.performance_view import PerformanceView
    from bunraku.formats.performance_shape import PerformancePreset
    from bunraku.session.endpoints import DeviceBuffer
    from bunraku.session.open_performance import OpenedPerformance, Wanted
    from bunraku.session.performance import Performance


@dataclass(frozen=True)
class Ending:
    """How long it plays, where it is recorded, and how much the devices hold ahead."""

    seconds: float | None = None
    out: Path | None = None
    overwrite: bool = False
    device_buffer: DeviceBuffer = "high"


def perform_preset(path: Path, ending: Ending, as_json: bool) -> None:
    """Play the preset at `path`, or of that name, until its end, `seconds`, its key to quit or
    Ctrl-C, and show the report. Raises also what went wrong as its recordings were finished."""
    from bunraku import presets
    from bunraku.formats.performance import read_performance

    refuse_existing(ending.out, "--out", ending.overwrite)
    path = presets.locate(path)
    preset = read_performance(path)
    title = f"bunraku live: {preset.name or path.stem}"
    performance = play(preset, path, ending, title)
    from bunraku.cli.performance_view import print_report

    files = {"recording": ending.out, **recordings_of(preset)}
    show_report(performance.report(), files, print_report, as_json)
    performance.check_recordings()


def recordings_of(preset: PerformancePreset) -> dict[str, Path]:
    """What the preset itself records, by name for the report."""
    files = [Path(sink.file) for sink in preset.sink if sink.type == "file"]
    return {f"the preset's recording{f' {n}' if n > 1 else ''}": f for n, f in enumerate(files, 1)}


def play(preset: PerformancePreset, path: Path | None, ending: Ending, title: str) -> Performance:
    """To its end; it is stopped when this returns."""
    from bunraku.cli.performance_view import PerformanceView
    from bunraku.session.control.inputs import open_desk
    from bunraku.session.open_performance import Wanted

    view = PerformanceView(title)
    wanted = Wanted(
        record_to=ending.out,
        overwrite=ending.overwrite,
        seconds=ending.seconds,
        device_buffer=ending.device_buffer,
    )
    with terminate_like_interrupt(), view:
        opened = open_prepared(preset, path, wanted, view)
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
    return opened.performance


def open_prepared(
    preset: PerformancePreset, path: Path | None, wanted: Wanted, view: PerformanceView
) -> OpenedPerformance:
    """Opened, its effects measured, which can take seconds: the view says so. Raises what
    `open_performance` raises, and the effects' BunrakuError; then nothing is left open."""
    from bunraku.session.open_performance import open_performance

    with view.busy("opening devices and effects ..."):
        opened = open_performance(preset, path, wanted, on_message=view.say)
        try:
            if opened.performance.picture is not None:
                opened.performance.picture.prepare()
        except BaseException:
            opened.close()
            raise
    return opened
