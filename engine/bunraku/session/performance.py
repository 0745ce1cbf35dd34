"""A whole performance: voice and picture on one clock, in step, recorded together.

The audio hardware's frames are the clock. A slow thread reads where they are, maps them to
monotonic time, and delays whichever medium is early; neither the audio thread nor the inference
thread waits for it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

from bunraku.errors import UserInputError
from bunraku.io.audio_files import Samples
from bunraku.io.video_writer import VideoWriter
from bunraku.session.audio_clock import AudioClock
from bunraku.session.lip_sync import LipSync, SyncDelays
from bunraku.session.live_report import LiveReport
from bunraku.session.live_session import LiveSession
from bunraku.session.running import Running
from bunraku.session.video_report import VideoReport
from bunraku.session.video_session import VideoSession
from bunraku.streaming.audio_block import NS_PER_S

CLOCK_PERIOD_S = 0.05
FIRST_CALLBACK_TIMEOUT_S = 5.0
MOST_DELAY_S = 0.5
"""What the voice of a performance can be delayed by, to wait for its picture."""

TakeVoice = Callable[[Samples, int], None]
"""(output `[frames, channels]`, monotonic time in ns at which its first frame was captured)."""


@dataclass(frozen=True)
class SyncFigures:
    """How voice and picture are kept in step. skew_ms: how much later the picture is than the
    voice, as far as is known; rate_ppm: how far the audio hardware is off its nominal rate."""

    audio_latency_ms: float
    video_latency_ms: float
    audio_delay_ms: float
    video_delay_ms: float
    skew_ms: float
    rate_ppm: float
    clock_jumps: int


@dataclass(frozen=True)
class PerformanceReport:
    name: str
    seconds: float
    voice: LiveReport | None
    picture: VideoReport | None
    sync: SyncFigures | None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "seconds": self.seconds,
            "voice": self.voice.as_dict() if self.voice else None,
            "picture": self.picture.as_dict() if self.picture else None,
            "sync": asdict(self.sync) if self.sync else None,
        }


class Performance(Running):
    """Runs a voice, a picture, or both. One control thread; `report` from any.

    make_voice: makes the live session, given what to hand its output to and how much it may be
        delayed; None: a picture without sound. picture: not yet started.
    keeps_step: delay the earlier medium, because both are watched live. A recording is in step
        without it: there every sample and frame carries the time of its capture.
    """

    def __init__(
        self,
        *,
        make_voice: Callable[[Callable[[int, Samples], None], float], LiveSession] | None,
        picture: VideoSession | None,
        keeps_step: bool = True,
        name: str = "",
        on_message: Callable[[str], None] | None = None,
    ) -> None:
        if make_voice is None and picture is None:
            raise UserInputError("a performance has a voice, a picture, or both")
        self.name = name
        self.picture = picture
        self.voice = make_voice(self._take_output, MOST_DELAY_S) if make_voice else None
        self._on_message = on_message or (lambda text: None)
        self._keeps_step = keeps_step and self.voice is not None and picture is not None
        self._clock = AudioClock(self.voice.sample_rate_hz) if self.voice else None
        self._clock_lock = threading.Lock()
        self._lips: LipSync | None = None
        self._jumps = 0  # of the clock, as far as they were followed
        self._late_ns = 0  # from a sound's capture to the begin of its block's callback
        self._takers: list[TakeVoice] = []
        self._stop_keeping = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="bunraku-clock", daemon=True)
        self._began = time.monotonic()
        self._ended: float | None = None
        self._started = self._stopped = False

    # ---- running --------------------------------------------------------------------------------

    def start(self) -> None:
        """The picture's effects are opened first: that takes long, and the voice should not wait
        for it in the middle of a sentence."""
        assert not self._started, "a performance starts once"
        self._started = True
        if self.picture is not None:
            self.picture.prepare()
        if self.voice is not None:
            self.voice.start()
            self._wait_for_first_callback()
            self._lips = LipSync(0, round(MOST_DELAY_S * NS_PER_S))
            self._ask_device()
        if self.picture is not None:
            if self._clock is not None and self._clock.started:
                self.picture.follow(self._time_ns_of_media)
            if self._lips is not None:
                self.picture.on_shown = self._lips.observe_video
            self.picture.start()
        self._began = time.monotonic()
        self._keeper.start()

    def stop(self) -> None:
        """Idempotent. The frames end first and the sinks last, so that a recording ends with the
        voice's fade. When one of them raises, the others are stopped all the same."""
        if self._stopped:
            return
        self._stopped = True
        with ExitStack() as last_first:
            last_first.callback(self._end)
            if self.picture is not None:
                last_first.callback(self.picture.stop)
            if self.voice is not None:
                last_first.callback(self.voice.stop)
            if self.picture is not None:
                last_first.callback(self.picture.source.stop)
            last_first.callback(self._stop_keeper)

    def _stop_keeper(self) -> None:
        self._stop_keeping.set()
        if self._keeper.ident is not None:
            self._keeper.join()

    def _end(self) -> None:
        self._ended = time.monotonic()

    @property
    def running(self) -> bool:
        """As long as anything plays that has an end of its own, or all of it."""
        halves = [half for half in (self.voice, self.picture) if half is not None]
        return self._started and not self._stopped and all(half.running for half in halves)

    def check(self) -> None:
        for half in (self.voice, self.picture):
            if half is not None:
                half.check()

    def check_recordings(self) -> None:
        """After `stop`: raises what went wrong while recordings were finished."""
        if self.voice is not None:
            self.voice.check_recording()
        if self.picture is not None:
            self.picture.check_sinks()

    def _wait_for_first_callback(self) -> None:
        assert self.voice is not None, "there is a voice"
        end = time.monotonic() + FIRST_CALLBACK_TIMEOUT_S
        while time.monotonic() < end:
            self._read_clock()
            if self._clock is not None and self._clock.started:
                return
            time.sleep(0.002)
        self._on_message("the audio device has not called yet; the picture goes on without it")

    # ---- the clock ------------------------------------------------------------------------------

    def _keep(self) -> None:
        while not self._stop_keeping.wait(CLOCK_PERIOD_S):
            self._keep_step(time.monotonic_ns())

    def _keep_step(self, now_ns: int) -> None:
        self._read_clock()
        if self._clock is not None and self._clock.jumps != self._jumps:
            self._jumps = self._clock.jumps
            self._ask_device()
        if self._keeps_step and self._lips is not None:
            before = self._lips.delays
            delays = self._lips.decide(now_ns)
            if delays != before:
                self._apply(delays)

    def _read_clock(self) -> None:
        if self.voice is None or self._clock is None:
            return
        with self._clock_lock:
            self._clock.observe(*self.voice.clock_point())

    def _apply(self, delays: SyncDelays) -> None:
        assert self.voice is not None, "only a voice and a picture are kept in step"
        assert self.picture is not None, "only a voice and a picture are kept in step"
        self.voice.set_output_delay(delays.audio_ns)
        self.picture.set_delay(delays.video_ns)

    def _ask_device(self) -> None:
        """How late the voice is: the block, the device, what is declared. The device tells once it
        is open, and again when it came back after a loss."""
        assert self.voice is not None, "there is a voice"
        assert self._lips is not None, "the first callback was waited for"
        report = self.voice.report()
        device = report.device
        input_ms = (device.input_latency_ms or 0.0) if device else 0.0
        output_ms = (device.output_latency_ms or 0.0) if device else 0.0
        late_ms = input_ms + report.block_ms + report.declared_ms
        self._late_ns = round(1e6 * late_ms)
        self._lips.audio_latency_ns = round(1e6 * (late_ms + output_ms))

    def _captured_ns(self, frame: int) -> int:
        """When the sound in this frame of the output was captured."""
        assert self._clock is not None, "only a voice has frames"
        return self._clock.time_ns_of(frame) - self._late_ns

    def _time_ns_of_media(self, seconds: float) -> int:
        """When the sound that stands at `seconds` in a file source is captured: the picture of the
        same file falls due then, however the sound card's rate is off."""
        assert self.voice is not None, "only a voice keeps the time of files"
        assert self._clock is not None, "only a voice keeps the time of files"
        return self._clock.time_ns_of(seconds * self.voice.sample_rate_hz - self.voice.block_frames)

    # ---- what is taken of it ---------------------------------------------------------------------

    def _take_output(self, first_frame: int, samples: Samples) -> None:
        """On the recorder's thread."""
        takers = list(self._takers)
        if not takers:
            return
        self._read_clock()
        if self._clock is None or not self._clock.started:
            return
        time_ns = self._captured_ns(first_frame)
        for take in takers:
            take(samples, time_ns)

    def record(self, writer: VideoWriter) -> None:
        """Begin to write picture and voice to a file; `stop_recording` ends it, `stop` too. Raises
        UserInputError without a picture, and what the writer raises."""
        if self.picture is None:
            raise UserInputError(
                "a recording of this kind needs a picture; use record_to for sound"
            )
        self.picture.add_sink(writer)
        if self.voice is not None:
            self.take_voice(writer.write_audio)

    def stop_recording(self, writer: VideoWriter) -> None:
        """The file is complete when this returns."""
        assert self.picture is not None, "something is recorded"
        self.leave_voice(writer.write_audio)
        self.picture.remove_sink(writer)

    def take_voice(self, take: TakeVoice) -> None:
        """Hand the voice's output to `take` as well, from a thread that may wait a little."""
        self._takers = [*self._takers, take]

    def leave_voice(self, take: TakeVoice) -> None:
        self._takers = [taker for taker in self._takers if taker != take]

    # ---- figures --------------------------------------------------------------------------------

    def report(self) -> PerformanceReport:
        """Everything counted so far."""
        ended = self._ended if self._ended is not None else time.monotonic()
        return PerformanceReport(
            name=self.name,
            seconds=ended - self._began,
            voice=self.voice.report() if self.voice else None,
            picture=self.picture.report() if self.picture else None,
            sync=self._sync_figures(),
        )

    def _sync_figures(self) -> SyncFigures | None:
        if self._lips is None or self._clock is None or self.picture is None:
            return None
        delays = self._lips.delays
        return SyncFigures(
            audio_latency_ms=self._lips.audio_latency_ns / 1e6,
            video_latency_ms=self._lips.video_latency_ns / 1e6,
            audio_delay_ms=delays.audio_ns / 1e6,
            video_delay_ms=delays.video_ns / 1e6,
            skew_ms=self._lips.skew_ns / 1e6,
            rate_ppm=1e6 * (self._clock.rate_hz / self._clock.sample_rate_hz - 1.0),
            clock_jumps=self._clock.jumps,
        )
