"""A microphone, a loudspeaker, a camera and a screen in simulated time, around what is real: the
engine that delays the voice, the picture's session, lip sync and presenter. Nothing waits and no
other thread moves anything: how busy the machine is changes nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from bunraku import _native
from bunraku.errors import BunrakuError
from bunraku.io.video_source import Put, VideoSink, VideoSource
from bunraku.scheduler.admission import Demand
from bunraku.scheduler.clock import SimulatedClock
from bunraku.scheduler.cost_model import CostModel
from bunraku.scheduler.job import Job, Outcome
from bunraku.session import performance as performance_module
from bunraku.session.live_session import LiveSession
from bunraku.session.performance import Performance
from bunraku.session.presenter import Presenter
from bunraku.session.video_session import VideoSession
from bunraku.streaming.video_frame import VideoFrame
from gain_models import gain_bytes

MS = 1_000_000
NS_PER_S = 1_000_000_000
STEP_NS = MS // 2
KEEP_NS = 50 * MS
BEGIN_NS = NS_PER_S
RATE_HZ, BLOCK_FRAMES = 48_000, 480
BLOCK_NS = BLOCK_FRAMES * NS_PER_S // RATE_HZ
FRAME_RATE_HZ = 30.0
SIZE = (64, 48)
CLAP_EVERY_FRAMES = 36
"""White in the picture and loud in the sound at one moment, in a frame that no stride skips."""
CLAP_NS = 20 * MS


def is_clap(time_ns: int) -> bool:
    period_ns = round(CLAP_EVERY_FRAMES * NS_PER_S / FRAME_RATE_HZ)
    return (time_ns - BEGIN_NS) % period_ns < CLAP_NS


class SteppedCamera(VideoSource):
    """Gives the frame that has fallen due."""

    def __init__(self) -> None:
        super().__init__(SIZE, FRAME_RATE_HZ)
        self.number = 0
        self.put: Put = lambda frame: None

    def start(self, put: Put) -> None:
        self.put = put

    def stop(self) -> None:
        self.ended = True

    def _deliver(self, put: Put, stopping: threading.Event) -> None:
        raise AssertionError("not used")

    def step(self, now_ns: int) -> None:
        due_ns = BEGIN_NS + round(self.number * NS_PER_S / FRAME_RATE_HZ)
        if due_ns <= now_ns:
            pixels = np.full((SIZE[1], SIZE[0], 3), 255 if is_clap(due_ns) else 0, np.uint8)
            self.put(VideoFrame(pixels, due_ns, self.number))
            self.number += 1


class Screen(VideoSink):
    """seen_ns: when a captured frame turned white."""

    def __init__(self, clock: SimulatedClock) -> None:
        self.clock = clock
        self.dropped = self.shown = 0
        self.error: BunrakuError | None = None
        self.seen_ns: list[int] = []
        self.white = False

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def show(self, frame: VideoFrame) -> None:
        if frame.interpolated:
            return
        white = int(frame.pixels[0, 0, 0]) > 128
        if white and not self.white:
            self.seen_ns.append(self.clock.now_ns())
        self.white = white


class SteppedScheduler:
    """Each frame is done `takes_ns` after it came. Admits at `stride`, and stays there."""

    def __init__(self, clock: SimulatedClock, takes_ns: int, stride: int) -> None:
        self.clock, self.takes_ns, self.stride = clock, takes_ns, stride
        self.waiting: list[tuple[int, Job]] = []
        self.executor = self.admission = self
        self.costs = CostModel(clock)

    def submit(self, job: Job) -> Job | None:
        self.waiting.append((self.clock.now_ns(), job))
        return None

    def forget(self, session: str) -> bool:
        self.waiting.clear()
        return True

    def admit(self, demand: Demand, *, is_in: bool = False) -> int:
        return demand.strides.index(self.stride)

    def rebook(self, *anything: object) -> bool:
        return False

    def learn(self, *anything: object) -> None: ...

    def release(self, session: str) -> None: ...

    def step(self, now_ns: int) -> None:
        while self.waiting and self.waiting[0][0] + self.takes_ns <= now_ns:
            ready_ns, job = self.waiting.pop(0)
            job.run()
            assert job.on_done is not None
            job.on_done(Outcome(ready_ns, now_ns - self.takes_ns, now_ns, job.deadline_ns))


class SteppedPresenter(Presenter):
    """Hands on when it is told to, not from a thread."""

    def _run(self) -> None: ...


class SteppedVoice:
    """What Performance knows of a live session, its sound card in simulated time: a block is called
    for when its last sample has come through the input buffer, and heard after the output buffer.
    heard_ns: when it turned loud."""

    sample_rate_hz, block_frames, running = RATE_HZ, BLOCK_FRAMES, True

    def __init__(self, clock: SimulatedClock, output_ms: float, most_delay_s: float) -> None:
        self.clock = clock
        self.input_ms, self.output_ms = 5.0, output_ms
        stream = _native.Stream(
            _native.Model(gain_bytes()), sample_rate_hz=RATE_HZ, max_block_frames=BLOCK_FRAMES
        )
        self.engine = _native.LiveEngine(
            stream, sample_rate_hz=RATE_HZ, input_channels=1, output_channels=1,
            most_delay_seconds=most_delay_s,
        )  # fmt: skip
        self.called_frame = self.called_ns = self.blocks = 0
        self.heard_ns: list[int] = []

    def start(self) -> None:
        self.step(self.clock.now_ns())

    def stop(self) -> None: ...

    def check(self) -> None: ...

    def check_recording(self) -> None: ...

    def clock_point(self) -> tuple[int, int]:
        return self.called_frame, self.called_ns

    def set_output_delay(self, delay_ns: int) -> None:
        self.engine.set_output_delay(round(delay_ns * RATE_HZ / NS_PER_S))

    def report(self) -> Any:
        device = SimpleNamespace(
            input_latency_ms=self.input_ms, output_latency_ms=self.output_ms, round_trip_ms=None
        )
        return SimpleNamespace(device=device, block_ms=BLOCK_NS / MS, declared_ms=0.0)

    def step(self, now_ns: int) -> None:
        due_ns = BEGIN_NS + self.blocks * BLOCK_NS
        if due_ns > now_ns:
            return
        self.called_frame, self.called_ns = self.blocks * BLOCK_FRAMES, due_ns
        captured_ns = due_ns - round(self.input_ms * MS) - BLOCK_NS
        at_ns = np.arange(BLOCK_FRAMES) * (NS_PER_S / RATE_HZ)
        loud = [captured_ns > BEGIN_NS and is_clap(round(captured_ns + at)) for at in at_ns]
        sound, _ = self.engine.call(np.array(loud, np.float32)[:, None] / 2)
        for at in np.flatnonzero(np.abs(sound[:, 0]) > 0.25):
            time_ns = round(due_ns + at_ns[at] + self.output_ms * MS)
            if not self.heard_ns or time_ns - self.heard_ns[-1] > NS_PER_S // 2:
                self.heard_ns.append(time_ns)
        self.blocks += 1


class Stage:
    """A performance whose camera, voice and screen are moved by `play`."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        *,
        voice_output_ms: float = 5.0,
        picture_takes_ms: float = 20.0,
        stride: int = 1,
        interpolate: bool = False,
        budget_s: float = 1.0,
        keeps_step: bool = True,
    ) -> None:
        monkeypatch.setattr(performance_module, "CLOCK_PERIOD_S", 1e6)  # `play` keeps step
        free = dict.fromkeys(range(1, 4), 0)
        monkeypatch.setattr("bunraku.session.video_session.filling_costs_ns", lambda frame: free)
        self.clock = SimulatedClock(BEGIN_NS)
        self.screen = Screen(self.clock)
        self.camera = SteppedCamera()
        self.scheduler = SteppedScheduler(self.clock, round(picture_takes_ms * MS), stride)
        self.picture = VideoSession(
            self.camera, [], [self.screen], scheduler=cast(Any, self.scheduler),
            budget_s=budget_s, interpolate=interpolate,
        )  # fmt: skip
        self.picture._presenter = self.presenter = SteppedPresenter(
            self.picture._hand_to_sinks, raise_it, now_ns=self.clock.now_ns
        )

        def make_voice(take: Callable[..., None], most_delay_s: float) -> LiveSession:
            self.voice = SteppedVoice(self.clock, voice_output_ms, most_delay_s)
            return cast(LiveSession, self.voice)

        self.performance = Performance(
            make_voice=make_voice, picture=self.picture, keeps_step=keeps_step
        )

    def play(self, seconds: float) -> None:
        kept_ns = self.clock.now_ns()
        with self.performance:
            while self.clock.now_ns() < BEGIN_NS + seconds * NS_PER_S:
                self.clock.advance(STEP_NS)
                now_ns = self.clock.now_ns()
                self.voice.step(now_ns)
                self.camera.step(now_ns)
                self.scheduler.step(now_ns)
                self.presenter.hand_on_due()
                if now_ns - kept_ns >= KEEP_NS:
                    kept_ns = now_ns
                    self.performance._keep_step(now_ns)

    def skews_ms(self, after_s: float) -> list[float]:
        """How much later than it is heard each clap of that time on is seen."""
        begin_ns = BEGIN_NS + after_s * NS_PER_S
        pairs = zip(self.screen.seen_ns, self.voice.heard_ns, strict=False)
        return [(seen - heard) / MS for seen, heard in pairs if heard >= begin_ns]


def raise_it(error: Exception) -> None:
    raise error
