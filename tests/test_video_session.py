"""The picture's half of a performance: every frame accounted for, effects exchanged while it plays,
trouble in one place kept there."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pytest
from bunraku.effects.video.neural_backend import NeuralBackend
from bunraku.effects.video.neural_batch import Inference, NetworkEffect
from bunraku.effects.video.neural_model import Size
from bunraku.effects.video.scene import Mask, Scene
from bunraku.effects.video.video_effect import VideoEffect, make_effect
from bunraku.errors import BunrakuError, DeviceError, OverloadError, UserInputError
from bunraku.io.video_source import Put, VideoSink, VideoSource
from bunraku.scheduler.cost_model import CostKey
from bunraku.scheduler.job import Job, Lane
from bunraku.scheduler.process_scheduler import ProcessScheduler, borrow_scheduler, give_back
from bunraku.session.frame_work import FrameWork, transform
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


class Hangs(Add):
    """In its first frame after `armed`, until let go."""

    def __init__(self) -> None:
        super().__init__(0)
        self.armed, self.inside, self.let_go = (threading.Event() for _ in range(3))
        self.closed_inside = False

    def process(self, pixels: Pixels, scene: Scene, tier: int) -> Pixels:
        if self.armed.is_set():
            self.inside.set()
            self.let_go.wait(20)
            self.closed_inside = self.closed
        return pixels


def test_models_are_not_closed_under_a_frame_that_hangs(scheduler: ProcessScheduler) -> None:
    source, effect, said = HandSource(), Hangs(), []
    session = VideoSession(source, [effect], [], scheduler=scheduler, on_message=said.append)
    session.start()
    effect.armed.set()
    source.give()
    assert effect.inside.wait(10)
    session.stop()
    assert "left behind" in said[-1]
    assert not effect.closed

    after, sink = HandSource(), ListSink()
    with VideoSession(after, [], [sink], scheduler=scheduler):
        wait_until(lambda: (after.give(), time.sleep(0.01), len(sink.frames) > 3)[-1])
    effect.let_go.set()
    wait_until(lambda: effect.closed)
    assert not effect.closed_inside


def test_a_chain_is_exchanged_although_a_frame_hangs_in_the_old_one(
    scheduler: ProcessScheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bunraku.session.video_session.EXCHANGE_TIMEOUT_S", 0.1)
    source, effect, sink, said = HandSource(), Hangs(), ListSink(), []
    with VideoSession(
        source, [effect], [sink], scheduler=scheduler, on_message=said.append
    ) as session:
        effect.armed.set()
        source.give(1)
        assert effect.inside.wait(10)
        session.set_effects([Add(100)])
        assert said == ["a frame hangs in an effect; left behind"]
        wait_until(lambda: (source.give(1), time.sleep(0.01), len(sink.frames) > 3)[-1])
        effect.let_go.set()
        wait_until(lambda: effect.closed)
        assert not effect.closed_inside
        source.give(1)
        time.sleep(0.05)
    assert {int(frame.pixels[0, 0, 0]) for frame in sink.frames} == {101}, "nothing of the old"


def test_less_of_a_chain_is_never_refused(scheduler: ProcessScheduler) -> None:
    dear = Add(1, lambda tier: 0.02)
    with VideoSession(HandSource(), [dear], [], scheduler=scheduler) as session:
        with pytest.raises(OverloadError):
            session.set_effects([Add(1, lambda tier: 0.3)])
        session.set_effects([Add(1, lambda tier: 0.3)], lighter=True)
        assert session.report().rung == session.report().rungs - 1


def test_a_setting_that_wants_opening_is_not_changed(scheduler: ProcessScheduler) -> None:
    """It would do nothing, or act without what it needs being prepared."""
    overlay = make_effect("face_overlay", size=2.0)
    session = VideoSession(HandSource(), [overlay], [], scheduler=scheduler)
    session.change("face_overlay", size=3.0)
    with pytest.raises(UserInputError, match=r"face_overlay.look takes effect when .* is opened"):
        session.change("face_overlay", size=4.0, look="ears")
    with pytest.raises(UserInputError, match="has no setting 'sise'"):
        session.change("face_overlay", sise=4.0)
    assert (overlay.settings.size, overlay.settings.look) == (3.0, "glasses")
    session.stop()


def test_leaves_no_thread(scheduler: ProcessScheduler) -> None:
    before = threading.active_count()
    for _ in range(5):
        source = HandSource()
        with VideoSession(source, [Add(1)], [ListSink()], scheduler=scheduler) as session:
            session.set_delay(1_000_000)
            source.give()
    assert threading.active_count() <= before + 2, "the scheduler's own threads, begun once"


# ---- sessions that share a network ---------------------------------------------------------------


class Negative(NeuralBackend):
    """Remembers how many pictures each call had; fails where one is all 13."""

    batches = True

    def __init__(self) -> None:
        self.calls: list[int] = []
        self.enter: Callable[[], object] = lambda: None

    @contextmanager
    def held(self, entered: threading.Event, go_on: threading.Event) -> Iterator[None]:
        """Calls of several pictures say that they began, and wait."""
        self.enter = lambda: (entered.set(), go_on.wait(5.0))
        yield
        self.enter = lambda: None

    def show(self, pixels: Pixels, mask: Mask, size: Size) -> Pixels:
        return self.show_all([(pixels, mask)], size)[0]

    def show_all(self, pictures: Sequence[tuple[Pixels, Mask]], size: Size) -> list[Pixels]:
        self.calls.append(len(pictures))
        if len(pictures) > 1:
            self.enter()
        if any(bool((pixels == 13).all()) for pixels, _ in pictures):
            raise ValueError("the network broke")
        return [255 - pixels for pixels, _ in pictures]


class Inverting(NetworkEffect):
    network = "negative"

    def __init__(self, backend: NeuralBackend) -> None:
        super().__init__()
        self.backend = backend

    def ask(self, pixels: Pixels, scene: Scene, tier: int) -> Inference | Pixels:
        return Inference(self.backend, self.network, pixels, np.ones((1, 1), np.float32), (8, 8))

    def take(self, pixels: Pixels, asked: Inference, made: Pixels) -> Pixels:
        return made


class BusyLane:
    """Keeps the inference thread busy for as long as it is entered, so that frames wait."""

    def __init__(self, scheduler: ProcessScheduler) -> None:
        self.executor = scheduler.executor
        self.begun, self.over = threading.Event(), threading.Event()

    def run(self) -> None:
        self.begun.set()
        self.over.wait(10.0)

    def __enter__(self) -> None:
        self.executor.submit(Job("busy", Lane.VIDEO, 0, CostKey("busy"), self.run))
        assert self.begun.wait(5.0)

    def __exit__(self, *trouble: object) -> None:
        self.over.set()
        self.executor.forget("busy")


class Pair:
    """Two sessions with a camera and a screen each, whose frames come while the lane is busy."""

    def __init__(self, scheduler: ProcessScheduler, rates_hz: tuple[float, float] = (30, 30)):
        self.scheduler = scheduler
        self.net = Negative()
        self.sources = [HandSource(rate_hz) for rate_hz in rates_hz]
        self.sinks: list[ListSink] = [ListSink(), ListSink()]
        self.sessions: list[VideoSession] = []

    def started(self) -> None:
        for k, name in enumerate(("zoe", "ana")):
            session = VideoSession(
                self.sources[k], [Inverting(self.net), Add(k)], [], scheduler=self.scheduler,
                name=name, budget_s=5.0,
            )  # fmt: skip
            session.start()
            session.add_sink(self.sinks[k])
            self.sessions.append(session)
        self.net.calls.clear()

    def frames(self, *values: int, meanwhile: Callable[[], None] = lambda: None) -> list[int]:
        """What becomes of a frame of one value in each session."""
        before = [len(sink.frames) for sink in self.sinks]
        with BusyLane(self.scheduler):
            for source, value in zip(self.sources, values, strict=True):
                source.give(value)
            meanwhile()
        wait_until(lambda: all(len(s.frames) > n for s, n in zip(self.sinks, before, strict=True)))
        return [int(sink.frames[-1].pixels[0, 0, 0]) for sink in self.sinks]

    def stop(self) -> None:
        for session in self.sessions:
            session.stop()


@pytest.fixture
def pair(scheduler: ProcessScheduler) -> Iterator[Pair]:
    pair = Pair(scheduler)
    yield pair
    pair.stop()


def test_sessions_that_share_a_network_run_it_in_one_call(pair: Pair) -> None:
    pair.started()
    assert pair.frames(10, 20) == [245, 236]
    assert pair.frames(30, 40) == [225, 216]
    assert pair.net.calls == [2, 2]
    reports = [session.report() for session in pair.sessions]
    assert [(r.shown, r.failed, r.replaced) for r in reports] == [(2, 0, 0), (2, 0, 0)]


def test_a_network_that_fails_for_one_session_goes_on_for_the_other(pair: Pair) -> None:
    pair.started()
    assert pair.frames(13, 20) == [13, 236]
    assert pair.net.calls == [2, 1, 1]
    said = [list(session.place.chain.errors) for session in pair.sessions]
    assert said == [[""], []]
    assert pair.frames(30, 40) == [30, 216]
    assert pair.net.calls == [2, 1, 1, 1]


def test_effects_exchanged_while_a_batch_waits_serve_it(pair: Pair) -> None:
    pair.started()
    made = pair.frames(10, 20, meanwhile=lambda: pair.sessions[0].set_effects([Add(100)]))
    assert made == [110, 236]
    assert pair.net.calls == [1]


def test_a_chain_is_not_closed_while_a_batch_is_in_it(pair: Pair) -> None:
    closed: list[VideoEffect] = []

    class Closing(Inverting):
        def close(self) -> None:
            closed.append(self)

    pair.started()
    old = [Closing(pair.net), Closing(pair.net)]
    for session, effect in zip(pair.sessions, old, strict=True):
        session.set_effects([effect])
    entered, go_on = threading.Event(), threading.Event()

    def play() -> None:
        with pair.net.held(entered, go_on):
            pair.frames(10, 20)

    def leave(session: VideoSession) -> None:
        session.set_effects([Add(100)])

    playing = threading.Thread(target=play)
    playing.start()
    assert entered.wait(5.0)
    leaving = [threading.Thread(target=leave, args=(session,)) for session in pair.sessions]
    for thread in leaving:
        thread.start()
    for thread in leaving:
        thread.join(0.2)
    assert closed == []
    go_on.set()
    for thread in (playing, *leaving):
        thread.join(5.0)
    assert set(closed) == set(old)
    assert pair.frames(10, 20) == [110, 120]


def test_chains_are_held_in_one_order(pair: Pair) -> None:
    """Whatever the order of the frames, so that two threads cannot wait for each other."""
    pair.started()
    order: list[str] = []

    class Noted:
        def __init__(self, name: str) -> None:
            self.name = name

        def __enter__(self) -> None:
            order.append(self.name)

        def __exit__(self, *trouble: object) -> None: ...

    for session in pair.sessions:
        session.place.lock = Noted(session.name)  # type: ignore[assignment]
    pixels = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    for sessions in (pair.sessions, pair.sessions[::-1]):
        transform([FrameWork(session, VideoFrame(pixels, 0)) for session in sessions])
    assert order == ["ana", "zoe"] * 2


def test_a_screen_that_fails_shows_the_other_no_frame_twice(pair: Pair) -> None:
    class Failing(ListSink):
        def show(self, frame: VideoFrame) -> None:
            super().show(frame)
            raise ValueError("the screen broke")

    pair.sinks[1] = Failing()
    pair.started()
    assert pair.frames(10, 20) == [245, 236]
    wait_until(lambda: pair.sessions[1].report().failed == 1)
    assert [frame.number for frame in pair.sinks[0].frames] == [0]
    assert pair.sessions[0].report().shown == 1
    assert pair.sessions[1].report().shown == 0


def test_frames_of_another_pace_are_not_waited_for(scheduler: ProcessScheduler) -> None:
    pair = Pair(scheduler, (30, 15))
    try:
        pair.started()
        assert pair.frames(10, 20) == [245, 236]
        assert pair.net.calls == [1, 1]
    finally:
        pair.stop()


def test_sessions_come_and_go_beside_one_that_shares_their_network(pair: Pair) -> None:
    """Chains are exchanged, and a session ends, while frames of both run in one call."""
    pair.started()
    for k in range(10):
        pair.sources[0].give(10)
        pair.sources[1].give(20)
        pair.sessions[k % 2].set_effects([Inverting(pair.net), Add(k % 2)])
    pair.sources[0].give(10)
    pair.sources[1].give(20)
    pair.sessions[1].stop()
    pair.sources[0].give(30)
    wait_until(lambda: int(pair.sinks[0].frames[-1].pixels[0, 0, 0]) == 225)
    assert {int(frame.pixels[0, 0, 0]) for frame in pair.sinks[0].frames} == {245, 225}
    assert {int(frame.pixels[0, 0, 0]) for frame in pair.sinks[1].frames} <= {236}
