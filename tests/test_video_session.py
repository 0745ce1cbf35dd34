"""The picture's half of a performance: every frame accounted for, effects exchanged while it plays,
trouble in one place kept there."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from bunraku.effects.video.scene import Scene
from bunraku.effects.video.video_effect import VideoEffect
from bunraku.errors import BunrakuError, DeviceError, OverloadError, UserInputError
from bunraku.io.video_source import Put, VideoSink, VideoSource
from bunraku.scheduler.process_scheduler import ProcessScheduler, borrow_scheduler, give_back
from bunraku.session.video_session import VideoSession
from bunraku.streaming.video_frame import Pixels, VideoFrame

SIZE = (64, 48)


class HandSource(VideoSource):
    """Gives a frame when the test says so."""

    def __init__(self, rate_hz: float = 30.0) -> None:
        super().__init__(SIZE, rate_hz)
        self.number = 0
        self.put: Put = lambda frame: None

    def start(self, put: Put) -> None:
        self.put = put

    def stop(self) -> None:
        self.ended = True

    def _deliver(self, put: Put, stopping: threading.Event) -> None:
        raise AssertionError("not used")

    def give(self, value: int = 10) -> None:
        pixels = np.full((SIZE[1], SIZE[0], 3), value, np.uint8)
        self.put(VideoFrame(pixels, time.monotonic_ns(), self.number))
        self.number += 1


class ListSink(VideoSink):
    def __init__(self) -> None:
        self.frames: list[VideoFrame] = []
        self.dropped = self.shown = 0
        self.error: BunrakuError | None = None
        self.started = self.stopped = False

    def start(self) -> None:
        self.started = True

    def show(self, frame: VideoFrame) -> None:
        self.frames.append(frame)

    def stop(self) -> None:
        self.stopped = True


class Add(VideoEffect):
    """Adds to every pixel; slow on request. Not in the catalogue: it has no name."""

    tiers = ("full", "cheap")

    def __init__(self, amount: int, slow_s: Callable[[int], float] = lambda tier: 0.0) -> None:
        super().__init__()
        self.amount = amount
        self.slow_s = slow_s
        self.closed = False

    def process(self, pixels: Pixels, scene: Scene, tier: int) -> Pixels:
        time.sleep(self.slow_s(tier))
        pixels += np.uint8(self.amount)
        return pixels

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def scheduler() -> Iterator[ProcessScheduler]:
    borrowed = borrow_scheduler()
    yield borrowed
    give_back(borrowed)


def wait_until(done: Callable[[], bool], timeout_s: float = 5.0) -> None:
    end = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.002)


def test_every_frame_is_changed_and_shown(scheduler: ProcessScheduler) -> None:
    source, sink = HandSource(), ListSink()
    with VideoSession(source, [Add(1), Add(2)], [sink], scheduler=scheduler) as session:
        for k in range(5):
            source.give(10 * k)
            wait_until(lambda k=k: len(sink.frames) == k + 1)
        assert session.running
        report = session.report()
    assert [int(frame.pixels[0, 0, 0]) for frame in sink.frames] == [3, 13, 23, 33, 43]
    assert [frame.number for frame in sink.frames] == [0, 1, 2, 3, 4]
    assert (report.captured, report.shown, report.replaced, report.failed) == (5, 5, 0, 0)
    assert report.on_time_share == 1.0
    assert sink.started
    assert sink.stopped
    assert not session.running


def test_the_newest_frame_wins(scheduler: ProcessScheduler) -> None:
    source, sink = HandSource(), ListSink()
    entered, go_on = threading.Event(), threading.Event()

    class Waiting(Add):
        def process(self, pixels: Pixels, scene: Scene, tier: int) -> Pixels:
            if scene.frame.time_ns > 0:  # not while it is calibrated
                entered.set()
                go_on.wait(5.0)
            return super().process(pixels, scene, tier)

    with VideoSession(source, [Waiting(1)], [sink], scheduler=scheduler) as session:
        source.give()
        assert entered.wait(5.0)
        for _ in range(3):
            source.give()
        go_on.set()
        wait_until(lambda: len(sink.frames) == 2)
        report = session.report()
    assert [frame.number for frame in sink.frames] == [0, 3]
    assert (report.captured, report.replaced) == (4, 2)


def test_a_session_that_cannot_fit_is_refused_with_numbers(scheduler: ProcessScheduler) -> None:
    effect = Add(1, lambda tier: 0.2)
    session = VideoSession(HandSource(240.0), [effect], [], scheduler=scheduler, name="big")
    with pytest.raises(OverloadError, match=r"'big' needs \d+\.\d ms for one frame in 4"):
        session.start()
    session.stop()
    assert effect.closed


def test_lowers_itself_under_load(scheduler: ProcessScheduler) -> None:
    """A cost that grows after it was measured: the cheaper tier keeps up."""
    source, sink = HandSource(50.0), ListSink()
    busy = threading.Event()
    effect = Add(1, lambda tier: 0.05 if busy.is_set() and tier == 0 else 0.0)
    with VideoSession(source, [effect], [sink], scheduler=scheduler) as session:
        busy.set()
        began = time.monotonic()
        while session.report().rung_changes == 0:
            source.give()
            time.sleep(0.02)
            assert time.monotonic() - began < 3.0, "it stays at a quality that is too dear"
        assert session.report().effects[0].tier == "cheap" or session.report().rung > 0


def test_effects_are_exchanged_between_two_frames(scheduler: ProcessScheduler) -> None:
    source, sink = HandSource(), ListSink()
    old, new = Add(1), Add(50)
    with VideoSession(source, [old], [sink], scheduler=scheduler) as session:
        source.give()
        wait_until(lambda: len(sink.frames) == 1)
        session.set_effects([new])
        source.give()
        wait_until(lambda: len(sink.frames) == 2)
        assert old.closed
        assert not new.closed
    assert [int(frame.pixels[0, 0, 0]) for frame in sink.frames] == [11, 60]


def test_effects_that_cannot_open_leave_the_old_ones(scheduler: ProcessScheduler) -> None:
    class Broken(Add):
        def open(self) -> None:
            raise DeviceError("no such model; fetch it")

    source, sink = HandSource(), ListSink()
    with VideoSession(source, [Add(1)], [sink], scheduler=scheduler) as session:
        with pytest.raises(DeviceError, match="fetch it"):
            session.set_effects([Broken(5)])
        source.give()
        wait_until(lambda: len(sink.frames) == 1)
    assert int(sink.frames[0].pixels[0, 0, 0]) == 11


def test_an_effect_that_fails_is_off_and_said_once(scheduler: ProcessScheduler) -> None:
    class Failing(Add):
        def process(self, pixels: Pixels, scene: Scene, tier: int) -> Pixels:
            if self.amount == 0:
                raise ValueError("broken inside")
            return super().process(pixels, scene, tier)

    said: list[str] = []
    source, sink, failing = HandSource(), ListSink(), Failing(3)
    with VideoSession(
        source, [failing, Add(1)], [sink], scheduler=scheduler, on_message=said.append
    ) as session:
        failing.amount = 0
        for k in range(3):
            source.give()
            wait_until(lambda k=k: len(sink.frames) == k + 1)
            session.check()
    assert int(sink.frames[-1].pixels[0, 0, 0]) == 11
    assert len(said) == 1
    assert "broken inside" in said[0]


def test_a_lost_camera_ends_the_session(scheduler: ProcessScheduler) -> None:
    source = HandSource()
    with VideoSession(source, [], [ListSink()], scheduler=scheduler) as session:
        source.error = DeviceError("the camera is gone; plug it in")
        with pytest.raises(DeviceError, match="plug it in"):
            session.check()


def test_sinks_come_and_go(scheduler: ProcessScheduler) -> None:
    source, first, second = HandSource(), ListSink(), ListSink()
    with VideoSession(source, [], [first], scheduler=scheduler) as session:
        source.give()
        wait_until(lambda: len(first.frames) == 1)
        session.add_sink(second)
        source.give()
        wait_until(lambda: len(second.frames) == 1)
        session.remove_sink(second)
        assert second.stopped
        source.give()
        wait_until(lambda: len(first.frames) == 3)
    assert len(second.frames) == 1


def test_a_held_picture_comes_later_and_in_order(scheduler: ProcessScheduler) -> None:
    source, sink = HandSource(), ListSink()
    with VideoSession(source, [], [sink], scheduler=scheduler) as session:
        session.set_delay(60_000_000)
        began = time.monotonic()
        source.give()
        source.give()
        wait_until(lambda: len(sink.frames) >= 1)
        assert time.monotonic() - began >= 0.055
        wait_until(lambda: len(sink.frames) == 2 or session.report().replaced == 1)
    numbers = [frame.number for frame in sink.frames]
    assert numbers == sorted(numbers)


def test_frames_left_out_are_made_up_for(scheduler: ProcessScheduler) -> None:
    source, sink = HandSource(100.0), ListSink()
    with VideoSession(source, [], [sink], scheduler=scheduler, interpolate=True) as session:
        for value in (10, 50, 90):
            source.give(value)
            source.number += 1  # every second frame is left out
            wait_until(lambda: bool(sink.frames) and sink.frames[-1].number == source.number - 2)
        wait_until(lambda: len(sink.frames) == 5)
        assert session.report().shown == 3
    assert [frame.number for frame in sink.frames] == [0, 1, 2, 3, 4]
    times = [frame.time_ns for frame in sink.frames]
    assert times == sorted(times)


def test_settings_of_an_unknown_effect_are_refused(scheduler: ProcessScheduler) -> None:
    with (
        VideoSession(HandSource(), [], [], scheduler=scheduler) as session,
        pytest.raises(UserInputError, match="no effect here is named 'blur'"),
    ):
        session.change("blur", strength=1.0)


def test_leaves_no_thread(scheduler: ProcessScheduler) -> None:
    before = threading.active_count()
    for _ in range(5):
        source = HandSource()
        with VideoSession(source, [Add(1)], [ListSink()], scheduler=scheduler) as session:
            session.set_delay(1_000_000)
            source.give()
    assert threading.active_count() <= before + 2, "the scheduler's own threads, begun once"
