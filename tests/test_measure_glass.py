"""What a glass-to-glass measurement says of pictures whose delay is known."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

cv2 = pytest.importorskip("cv2")

from bunraku.errors import DeviceError, MediaError, UserInputError  # noqa: E402
from bunraku.formats import performance_shape as shape  # noqa: E402
from bunraku.io.time_code import draw_time_code, read_time_code  # noqa: E402
from bunraku.io.video_source import Put, VideoSource  # noqa: E402
from bunraku.measure import glass_sink  # noqa: E402
from bunraku.measure.glass import filmed_report, measure_glass, report_of  # noqa: E402
from bunraku.measure.glass_screen import CodeScreen, code_screen, read_filmed_code  # noqa: E402
from bunraku.measure.glass_sink import CodedSource, ReadingSink  # noqa: E402
from bunraku.streaming.video_frame import VideoFrame  # noqa: E402

PERIOD_NS = 33_333_333
SIZE = (640, 480)


class OneFrame(VideoSource):
    """Gives the frames it is told to, from the caller's thread."""

    def start(self, put: Put) -> None:
        self.put = put

    def stop(self) -> None:
        self.ended = True

    def _deliver(self, put: Put, stopping: object) -> None:
        raise AssertionError("not used")


class FakeTime:
    """`time` of the sink, at the test's command."""

    def __init__(self) -> None:
        self.now_ns = 10_000_000_000

    def monotonic_ns(self) -> int:
        return self.now_ns


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    fake = FakeTime()
    monkeypatch.setattr(glass_sink, "time", fake)
    return fake


def read_all(sink: ReadingSink, count: int) -> None:
    end = time.monotonic() + 5.0
    while len(sink.seen) < count and time.monotonic() < end:
        time.sleep(0.001)
    assert len(sink.seen) == count


def performance_that(captured: int, shown: int) -> Any:
    counted = SimpleNamespace(
        width=640, height=480, rate_hz=30.0, seconds=1.0, captured=captured, source_dropped=0,
        budget_ms=66.0, shown=shown,
    )  # fmt: skip
    return SimpleNamespace(picture=SimpleNamespace(report=lambda: counted))


def play_with_delays(clock: FakeTime, delays_ns: list[int], hide: bool = False) -> ReadingSink:
    inner = OneFrame(SIZE, 30.0)
    source, sink = CodedSource(inner), ReadingSink()
    sink.start()
    frames: list[VideoFrame] = []
    source.start(frames.append)
    for number, delay_ns in enumerate(delays_ns):
        captured_ns = clock.now_ns
        inner.put(VideoFrame(np.full((480, 640, 3), 90, np.uint8), captured_ns, number))
        frame = frames[-1]
        if hide:
            frame = frame.with_pixels(np.zeros_like(frame.pixels))
        clock.now_ns += delay_ns
        sink.show(frame)
        read_all(sink, number + 1)
        clock.now_ns = captured_ns + PERIOD_NS
    sink.stop()
    return sink


@pytest.mark.parametrize("hide", [False, True])
def test_known_delays(clock: FakeTime, hide: bool) -> None:
    delays_ns = [1_000_000, 17_345_678, 50_000_000, 99_999_999, 20_000_000]
    sink = play_with_delays(clock, delays_ns, hide)
    report = report_of(performance_that(7, 5), sink, "known")
    errors = np.abs(np.array(report.series.latencies_ms) * 1e6 - delays_ns)
    assert errors.max() <= PERIOD_NS / 20
    assert errors.max() < 1.0
    assert report.latency_ms.max == pytest.approx(99.999999)
    assert (report.captured, report.arrived, report.dropped, report.late) == (7, 5, 2, 1)
    assert report.unreadable == (5 if hide else 0)
    assert ("carries" in report.read_from) == hide == bool(report.notes)
    json.dumps(report.as_dict(), allow_nan=False)


def test_reading_does_not_count_as_latency() -> None:
    """The hand-over is timed before the code is read, which may take long."""

    def read_slowly(pixels: Any) -> tuple[int, int] | None:
        time.sleep(0.1)
        return read_time_code(pixels)

    sink = ReadingSink(read_slowly)
    sink.start()
    pixels = np.zeros((480, 640, 3), np.uint8)
    now_ns = time.monotonic_ns()
    draw_time_code(pixels, now_ns, 3)
    sink.show(VideoFrame(pixels, now_ns, 3))
    handed_over_ns = time.monotonic_ns()
    read_all(sink, 1)
    sink.stop()
    at_ns, code_ns, number, _ = sink.seen[0]
    assert (code_ns, number) == (now_ns, 3)
    assert at_ns <= handed_over_ns


def test_a_code_of_another_time_is_not_believed(clock: FakeTime) -> None:
    sink = ReadingSink()
    sink.start()
    for k, time_ns in enumerate((clock.now_ns + 1, 0)):
        clock.now_ns = 4_000_000_000_000 if k else clock.now_ns
        pixels = np.zeros((480, 640, 3), np.uint8)
        draw_time_code(pixels, time_ns, k)
        sink.show(VideoFrame(pixels, clock.now_ns, k))
        read_all(sink, k + 1)
    sink.stop()
    assert [one[1] for one in sink.seen] == [None, None]


def test_frames_that_are_not_read_are_counted() -> None:
    sink = ReadingSink()
    for number in range(3):
        sink.show(VideoFrame(np.zeros((480, 640, 3), np.uint8), 0, number))
    assert (sink.shown, sink.missed) == (3, 2)
    sink.start()
    sink.stop()


def test_made_up_frames_are_no_arrivals(clock: FakeTime) -> None:
    """Two captured frames of three arrive, with one made up between them that has the code of one
    of them."""
    sink = play_with_delays(clock, [20_000_000, 20_000_000])
    pixels = np.zeros((480, 640, 3), np.uint8)
    draw_time_code(pixels, clock.now_ns - 90_000_000, 0)
    for _ in range(4):
        sink.show(VideoFrame(pixels, clock.now_ns, 1, interpolated=True))
    report = report_of(performance_that(3, 2), sink, "interpolated")
    assert (report.captured, report.arrived, report.dropped, report.filled) == (3, 2, 1, 4)
    assert report.series.latencies_ms == pytest.approx((20.0, 20.0))
    assert report.notes == ("4 frames were made up by interpolation, and are left out",)


def test_nothing_arrived_is_said() -> None:
    with pytest.raises(MediaError, match="none of 3 captured frames"):
        report_of(performance_that(3, 0), ReadingSink(), "nothing")


def test_a_performance_is_measured() -> None:
    source = shape.BuiltInPicture(type="test", width=320, height=240)
    preset = shape.PerformancePreset(name="m", picture=shape.Picture(source=source))
    report = measure_glass(preset, seconds=1.0)
    assert report.latency_ms.count > 1
    assert report.captured == report.arrived + report.dropped
    assert 0.0 < report.latency_ms.p50 <= report.latency_ms.max
    assert "drawn into each frame" in report.read_from


@pytest.mark.parametrize("seconds", [0.5, 1e6, float("nan")])
def test_wrong_seconds_are_refused(seconds: float) -> None:
    preset = shape.PerformancePreset(picture=shape.Picture())
    with pytest.raises(UserInputError, match="use 1 to 3600"):
        measure_glass(preset, seconds=seconds)
    with pytest.raises(UserInputError, match="measure loopback"):
        measure_glass(shape.PerformancePreset(voice=shape.Voice()), Path("x"))


# ---- a filmed screen ----------------------------------------------------------------------------


def filmed(screen: np.ndarray[Any, Any], corners: list[list[float]]) -> np.ndarray[Any, Any]:
    """As a camera sees it: from an angle, a little unsharp, dim, noisy, on a grey wall."""
    height, width = screen.shape[:2]
    plain = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    turn = cv2.getPerspectiveTransform(plain, np.array(corners, np.float32))
    seen = cv2.warpPerspective(screen, turn, SIZE, borderValue=(60, 70, 60))
    noise = np.random.default_rng(1).normal(0.0, 6.0, seen.shape)
    return np.clip(0.7 * cv2.GaussianBlur(seen, (0, 0), 1.0) + 30 + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("size", [(640, 480), (1280, 720)])
@pytest.mark.parametrize(
    "corners",
    [
        [[20, 10], [620, 12], [615, 470], [25, 465]],
        [[120, 60], [560, 80], [540, 400], [90, 420]],
        [[200, 150], [520, 130], [530, 390], [190, 380]],
    ],
)
def test_a_filmed_code_is_read(size: tuple[int, int], corners: list[list[float]]) -> None:
    picture = filmed(code_screen(size, 123_456_789_012_345, 77), corners)
    assert read_filmed_code(picture) == (123_456_789_012_345, 77)


def test_other_pictures_are_not_read() -> None:
    assert read_filmed_code(np.zeros((480, 640, 3), np.uint8)) is None
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    assert read_filmed_code(noise) is None
    half = code_screen(SIZE, 1 << 40, 1)
    half[240:] = code_screen(SIZE, (1 << 41) - 1, 2)[240:]  # two pictures in one exposure
    assert read_filmed_code(half) is None


def test_the_screen_shows_its_code() -> None:
    assert read_filmed_code(CodeScreen(SIZE, 60.0).picture(9, 555)) == (555, 9)


def test_only_the_first_sight_of_a_code_counts() -> None:
    sink = ReadingSink()
    ms = 1_000_000
    sink.seen = [(100 * ms, 40 * ms, 1, 0), (133 * ms, 40 * ms, 1, 0), (166 * ms, None, None, 0),
                 (200 * ms, 130 * ms, 2, 0)]  # fmt: skip
    report = filmed_report(sink, SIZE, 30.0, 1.0, 0)
    assert report.series.latencies_ms == (60.0, 70.0)
    assert (report.repeated, report.unreadable) == (1, 1)
    sink.seen = [(1, None, None, 0)]
    with pytest.raises(DeviceError, match="point it at the window"):
        filmed_report(sink, SIZE, 30.0, 1.0, 0)
