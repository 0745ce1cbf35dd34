"""The delay of pictures from capture to where they are shown, by a time code drawn into them.

docs/measuring.md says what is and what is not in the figures.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bunraku.errors import DeviceError, MediaError, UserInputError
from bunraku.io.video_open import open_sink, open_source
from bunraku.io.video_specs import CameraSpec, PatternSpec, WindowSpec
from bunraku.measure.bench import machine_name
from bunraku.measure.glass_screen import CodeScreen, read_filmed_code
from bunraku.measure.glass_sink import CodedSource, ReadingSink
from bunraku.measure.latency_series import LatencyFigures, LatencySeries
from bunraku.session.open_performance import Wanted, open_performance

if TYPE_CHECKING:
    from bunraku.formats.performance_shape import PerformancePreset
    from bunraku.session.performance import Performance

LEAST_SECONDS, MOST_SECONDS = 1.0, 3600.0
LEAST_SHARE_READ = 0.9
STAMPED = "code drawn into each frame at its capture"
CARRIED = "time that each frame carries, because the effects hide the code"
FILMED = "code on a screen that a camera films"
SCREEN_SIZE = (1280, 720)

OnTick = Callable[[], None]


@dataclass(frozen=True)
class GlassReport:
    """latency_ms: from capture to the hand-over to the sinks; filmed: from the drawing of the
    screen's picture to the camera's. read_from: what told the time of capture. captured = arrived +
    dropped; at the end one may be under way. filled: made up by interpolation, in no other figure.
    unreadable: arrived without a legible code. repeated: the camera filmed the same picture of the
    screen again; only the first counts."""

    what: str
    read_from: str
    width: int
    height: int
    rate_hz: float
    seconds: float
    latency_ms: LatencyFigures
    captured: int
    arrived: int
    dropped: int
    filled: int
    unreadable: int
    repeated: int
    late: int
    budget_ms: float
    notes: tuple[str, ...]
    series: LatencySeries
    machine: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def measure_glass(
    preset: PerformancePreset,
    path: Path | None = None,
    *,
    seconds: float = 20.0,
    record_to: Path | None = None,
    overwrite: bool = False,
    on_tick: OnTick | None = None,
    on_message: Callable[[str], None] | None = None,
) -> GlassReport:
    """Play `preset` (its file at `path`, if it has one) for `seconds`, or to its end.

    Raises UserInputError without a picture, and whatever the performance raises.
    """
    check_seconds(seconds)
    if preset.picture is None:
        raise UserInputError("this preset has no picture: measure sound with 'measure loopback'")
    wanted = Wanted(record_to=record_to, overwrite=overwrite)
    opened = open_performance(preset, path, wanted, on_message)
    performance, reader = opened.performance, ReadingSink()
    assert performance.picture is not None, "the preset has a picture"
    performance.picture.source = CodedSource(performance.picture.source)
    performance.picture.add_sink(reader)
    with opened:
        performance.wait(seconds=seconds, on_tick=lambda performance: on_tick and on_tick())
    performance.check_recordings()
    return report_of(performance, reader, preset.name or "picture")


def check_seconds(seconds: float) -> None:
    if not LEAST_SECONDS <= seconds <= MOST_SECONDS:
        raise UserInputError(
            f"seconds is {seconds:g}: use {LEAST_SECONDS:g} to {MOST_SECONDS:g}, such as 20"
        )


def report_of(performance: Performance, reader: ReadingSink, what: str) -> GlassReport:
    """Raises MediaError when no frame arrived."""
    assert performance.picture is not None, "a picture was measured"
    counted = performance.picture.report()
    if not reader.seen:
        raise MediaError(
            f"none of {counted.captured} captured frames reached the sink: a longer --seconds, or"
            " lighter effects"
        )
    read = [one for one in reader.seen if one[1] is not None]
    legible = len(read) >= LEAST_SHARE_READ * len(reader.seen)
    began_ns = reader.seen[0][0]
    points = [
        ((at_ns - began_ns) / 1e9, (at_ns - (code_ns if legible and code_ns else own_ns)) / 1e6)
        for at_ns, code_ns, _, own_ns in (read if legible else reader.seen)
    ]
    series = LatencySeries.of(points)
    had = counted.captured + counted.source_dropped
    return GlassReport(
        what=what,
        read_from=STAMPED if legible else CARRIED,
        width=counted.width,
        height=counted.height,
        rate_hz=counted.rate_hz,
        seconds=counted.seconds,
        latency_ms=series.figures(),
        captured=had,
        arrived=reader.shown,
        dropped=had - reader.shown,
        filled=reader.filled,
        unreadable=len(reader.seen) - len(read),
        repeated=0,
        late=sum(latency > counted.budget_ms for latency in series.latencies_ms),
        budget_ms=counted.budget_ms,
        notes=notes_of(legible, reader),
        series=series,
        machine=machine_name(),
    )


def notes_of(legible: bool, reader: ReadingSink) -> tuple[str, ...]:
    notes = []
    if not legible:
        notes.append(
            "the effects make the code illegible, so latencies are taken from the time that each"
            " frame carries through the engine: the same clock, but nothing proves the pixels"
        )
    if reader.missed:
        notes.append(f"{reader.missed} frames came faster than codes are read, and are left out")
    if reader.filled:
        notes.append(f"{reader.filled} frames were made up by interpolation, and are left out")
    return tuple(notes)


# ---- a screen filmed by a camera ----------------------------------------------------------------


def measure_filmed(
    camera: CameraSpec, *, seconds: float = 20.0, on_tick: OnTick | None = None
) -> GlassReport:
    """Show the code in a window and film it: screen, light, camera and driver, and nothing of the
    engine. Raises DeviceError where there is no window or camera, or no code is seen."""
    check_seconds(seconds)
    reader = ReadingSink(read_filmed_code)
    with on_screen(), filming(camera, reader) as source:
        end = time.monotonic() + seconds
        while time.monotonic() < end and source.error is None:
            time.sleep(0.1)
            if on_tick is not None:
                on_tick()
    if source.error is not None:
        raise source.error
    return filmed_report(reader, source.size, source.rate_hz, seconds, source.dropped)


@contextmanager
def on_screen() -> Iterator[None]:
    window = open_sink(WindowSpec("bunraku measure glass: point the camera here"))
    window.start()
    screen = CodeScreen(SCREEN_SIZE, PatternSpec().rate_hz * 2)
    screen.start(window.show)
    try:
        yield
    finally:
        screen.stop()
        window.stop()


@contextmanager
def filming(camera: CameraSpec, reader: ReadingSink) -> Iterator[Any]:
    source = open_source(camera)
    reader.start()
    source.start(reader.show)
    try:
        yield source
    finally:
        source.stop()
        reader.stop()


def filmed_report(
    reader: ReadingSink, size: tuple[int, int], rate_hz: float, seconds: float, dropped: int
) -> GlassReport:
    points, numbers = [], set()
    read = [one for one in reader.seen if one[1] is not None]
    for at_ns, code_ns, number, _ in read:
        if code_ns is not None and number not in numbers:
            points.append(((at_ns - reader.seen[0][0]) / 1e9, (at_ns - code_ns) / 1e6))
            numbers.add(number)
    if not points:
        raise DeviceError(
            f"the camera saw no code in {len(reader.seen)} pictures: point it at the window so"
            " that the white frame fills most of its picture, upright, sharp and not too bright"
        )
    series = LatencySeries.of(points)
    return GlassReport(
        what="screen and camera, without the engine",
        read_from=FILMED,
        width=size[0],
        height=size[1],
        rate_hz=rate_hz,
        seconds=seconds,
        latency_ms=series.figures(),
        captured=reader.shown + dropped,
        arrived=reader.shown,
        dropped=dropped,
        filled=0,
        unreadable=len(reader.seen) - len(read),
        repeated=len(read) - len(points),
        late=0,
        budget_ms=0.0,
        notes=(),
        series=series,
        machine=machine_name(),
    )
