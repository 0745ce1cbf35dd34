"""The voice of one browser: the browser is the audio device, each message one callback."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError

import numpy as np

from bunraku import _native
from bunraku.effects.audio.python_effect import AudioEffect, open_effect, run_effects
from bunraku.errors import OverloadError, UserInputError
from bunraku.io.audio_files import Samples
from bunraku.scheduler.admission import Demand
from bunraku.scheduler.cost_model import CostKey
from bunraku.scheduler.job import Job, Lane
from bunraku.scheduler.process_scheduler import ProcessScheduler
from bunraku.serving.audio_message import AudioMessage
from bunraku.serving.browser_clock import BrowserClock
from bunraku.serving.limits import MOST_AUDIO_FRAMES
from bunraku.serving.recent_latency import RecentLatency
from bunraku.serving.voice_figures import VoiceFigures
from bunraku.session.audio_clock import AudioClock
from bunraku.session.performance import TakeVoice
from bunraku.session.voice_cost import effects_cost_ns, least_ns
from bunraku.streaming.audio_block import NS_PER_S

CROSSFADE_S = 0.03
SWAP_TIMEOUT_S = 0.5
SEQUENCES = 1 << 32
MOST_AGE_NS = 250_000_000
MOST_WAY_NS, MOST_EARLY_NS = NS_PER_S, 50_000_000
MOST_STALL_NS = 30 * NS_PER_S
"""A clock that is further off is not believed."""
FORGET_TIMEOUT_S = 0.5
ENDED = "the voice has ended"
USUAL_RATE_HZ, USUAL_BLOCK_FRAMES = 48_000, 256

OnBlock = Callable[[int, bool], None]
"""(nanoseconds that a block took, whether that is longer than the block lasts)."""


class BrowserVoice:
    """A `PerformedVoice`; `process` runs on the scheduler's audio thread, all else from any.

    name: unique in the process. clock: what the browser's times mean here. Raises OverloadError
    when the audio thread has no room for one more.
    """

    channels = 1

    def __init__(
        self,
        model: _native.Model,
        *,
        scheduler: ProcessScheduler,
        name: str,
        clock: BrowserClock,
        on_block: OnBlock = lambda spent_ns, missed: None,
        on_message: Callable[[str], object] = lambda text: None,
    ) -> None:
        self.model = model
        self.closed = False
        self.ends: list[Callable[[], object]] = []
        self._scheduler = scheduler
        self._name = name
        self._browser_clock = clock
        self._on_block = on_block
        self._on_message = on_message
        self._outstanding: Future[AudioMessage] | None = None
        self._lock = threading.Lock()  # around what is exchanged while blocks are processed
        self._params: dict[str, float] = {}
        self._effects: list[AudioEffect] = []
        self._muted = False
        self._stream: _native.Stream | None = None
        self._engine: _native.LiveEngine | None = None
        self._clock: AudioClock | None = None
        self._takers: tuple[TakeVoice, ...] = ()
        self._recent = RecentLatency()
        self._rate_hz = 0
        self._frames = self._blocks = self._misses = self._lost = self._block_frames = 0
        self._expected = 0
        self.admit(model, [])

    # ---- blocks ---------------------------------------------------------------------------------

    def submit(self, message: AudioMessage) -> Future[AudioMessage]:
        """What `process` makes of it, before the next block is due. Raises, through the future,
        what `process` raises, and OverloadError when there is no time for it or the voice ended."""
        answer: Future[AudioMessage] = Future()
        if self.closed:
            answer.set_exception(OverloadError(ENDED))
            return answer
        frames = len(message.samples)
        now_ns = time.monotonic_ns()
        job = Job(
            session=self._name,
            lane=Lane.AUDIO,
            deadline_ns=now_ns + frames * NS_PER_S // message.sample_rate_hz,
            cost_key=CostKey("browser voice", (1, frames)),
            run=lambda: settle(answer, self.process(message, now_ns)),
            on_error=lambda error: refuse(answer, error),
            payload=answer,
        )
        self._outstanding = answer
        dropped = self._scheduler.executor.submit(job)
        if dropped is not None and isinstance(dropped.payload, Future):
            refuse(dropped.payload, OverloadError("the voice has no time for this block"))
        return answer

    def is_too_old(self, message: AudioMessage) -> bool:
        """After a stall the newest counts: sound that waited is skipped, not played ever later."""
        now_ns = time.monotonic_ns()
        captured_ns = self._captured_ns(message, now_ns, MOST_STALL_NS)
        return captured_ns is not None and now_ns - captured_ns > MOST_AGE_NS

    def _captured_ns(self, message: AudioMessage, now_ns: int, most_way_ns: int) -> int | None:
        """By the browser's clock, where that makes sense."""
        if message.captured_ms == 0.0:
            return None
        captured_ns = self._browser_clock.monotonic_ns(message.captured_ms)
        if captured_ns is None or not now_ns - most_way_ns < captured_ns < now_ns + MOST_EARLY_NS:
            return None
        return captured_ns

    def process(self, message: AudioMessage, arrival_ns: int) -> AudioMessage:
        """The block after model and effects. The rate is that of the first message. Raises
        UserInputError for another one, BunrakuError for an effect that fails."""
        began_ns = time.monotonic_ns()
        engine, effects = self._engine_for(message)
        self._count_gap(message)
        output, _ = engine.call(message.samples)
        if effects:
            output = np.ascontiguousarray(run_effects(effects, np.ascontiguousarray(output.T)).T)
        self._hand_on(output, message, arrival_ns)
        self._count_block(len(output), began_ns)
        return AudioMessage(
            output, message.sequence, self._rate_hz, message.format, message.captured_ms
        )

    def _engine_for(self, message: AudioMessage) -> tuple[_native.LiveEngine, list[AudioEffect]]:
        with self._lock:
            if self._engine is None:
                self._open(message)
            assert self._engine is not None, "it was opened"
            if message.sample_rate_hz != self._rate_hz:
                raise UserInputError(
                    f"{message.sample_rate_hz} Hz after {self._rate_hz} Hz: connect anew to change"
                    " it"
                )
            return self._engine, self._effects

    def _open(self, first: AudioMessage) -> None:
        """All of it, or, where something raises, nothing."""
        rate_hz = first.sample_rate_hz
        stream = _native.Stream(
            self.model,
            channels=1,
            sample_rate_hz=float(rate_hz),
            max_block_frames=MOST_AUDIO_FRAMES,
            crossfade_frames=round(CROSSFADE_S * rate_hz),
        )
        engine = _native.LiveEngine(
            stream, sample_rate_hz=float(rate_hz), input_channels=1, output_channels=1
        )
        for param, value in self._params.items():
            stream.set_param(self._number_of(param), value)
        engine.set_muted(self._muted)
        if rate_hz != self._rate_hz:
            names = [effect.name for effect in self._effects]
            self._effects = effects_at(rate_hz, names)
            if self._rate_hz:
                self._let_takers_go()
        self._stream, self._engine, self._rate_hz = stream, engine, rate_hz
        self._expected, self._frames = first.sequence, 0
        self._clock = AudioClock(rate_hz)

    def _let_takers_go(self) -> None:
        """What they write has the old rate."""
        if self._takers:
            self._takers = ()
            self._on_message("the microphone's rate changed: the recording goes on without sound")

    def restart(self) -> None:
        """The next message may have another rate: a new connection begins."""
        with self._lock:
            self._engine = self._stream = None

    def without_effects(self) -> None:
        """Those written in Python are gone, and with them the thread that one of them hangs in."""
        self.set_python_effects([])
        self._scheduler.executor.forget(self._name, 0.0)

    def close(self) -> None:
        """What is still to be processed is refused; who waits in `ends` is called. Idempotent."""
        self.closed = True
        self._scheduler.executor.forget(self._name, FORGET_TIMEOUT_S)
        self._scheduler.admission.release(self._name)
        if self._outstanding is not None:
            refuse(self._outstanding, OverloadError(ENDED))
        for end in self.ends:
            end()

    def _count_gap(self, message: AudioMessage) -> None:
        gap = (message.sequence - self._expected) % SEQUENCES
        if gap < SEQUENCES // 2:
            self._lost += gap
            self._frames += gap * len(message.samples)
        self._expected = (message.sequence + 1) % SEQUENCES

    def _hand_on(self, output: Samples, message: AudioMessage, arrival_ns: int) -> None:
        """With the time at which the block's first frame was captured, as the browser says it, or
        as far as its arrival does."""
        assert self._clock is not None, "it was opened"
        captured_ns = self._captured_ns(message, arrival_ns, MOST_WAY_NS)
        if captured_ns is None:
            captured_ns = arrival_ns - len(output) * NS_PER_S // self._rate_hz
        self._clock.observe(self._frames, captured_ns)
        if self._takers:
            time_ns = self._clock.time_ns_of(self._frames - self._declared_frames())
            for take in self._takers:
                take(output, time_ns)

    def _count_block(self, frames: int, began_ns: int) -> None:
        now_ns = time.monotonic_ns()
        missed = now_ns - began_ns > frames * NS_PER_S / self._rate_hz
        self._frames += frames
        self._block_frames = frames
        self._blocks += 1
        self._misses += missed
        self._recent.add(now_ns, now_ns - began_ns)
        self._on_block(now_ns - began_ns, missed)

    def _declared_frames(self) -> int:
        stream = self._stream
        frames = stream.latency_frames if stream is not None else 0
        return frames + sum(effect.latency_frames for effect in self._effects)

    # ---- what a desk moves ----------------------------------------------------------------------

    @property
    def sample_rate_hz(self) -> int | None:
        """None before the first block."""
        return self._rate_hz or None

    def admit(self, model: _native.Model, python_effects: Sequence[AudioEffect]) -> None:
        """Book what blocks through these would cost, whichever rate and size they turn out to have:
        those of the page count. Raises OverloadError."""
        scratch = _native.Stream(
            model,
            channels=1,
            sample_rate_hz=float(USUAL_RATE_HZ),
            max_block_frames=USUAL_BLOCK_FRAMES,
        )
        cost_ns = least_ns(scratch.process, 1, USUAL_BLOCK_FRAMES)
        cost_ns += effects_cost_ns(python_effects, USUAL_BLOCK_FRAMES) if python_effects else 0
        period_ns = NS_PER_S * USUAL_BLOCK_FRAMES // USUAL_RATE_HZ
        demand = Demand(self._name, Lane.AUDIO, period_ns, (cost_ns,))
        self._scheduler.admission.admit(demand)

    def swap(self, model: _native.Model) -> None:
        """Crossfade to another model. Where no sound comes that could fade, the next begins with
        it."""
        end = time.monotonic() + SWAP_TIMEOUT_S
        while (stream := self._stream) is not None and stream.swap_pending():
            if time.monotonic() > end:
                self.restart()
            time.sleep(0.001)
        with self._lock:
            if self._stream is not None:
                self._stream.swap(model)
            self.model, self._params = model, {}

    def set_param(self, param: str, value: float) -> None:
        """By the name of one of the model's."""
        with self._lock:
            self._params[param] = value
            if self._stream is not None:
                self._stream.set_param(self._number_of(param), value)

    def _number_of(self, param: str) -> int:
        return [info["name"] for info in self.model.params].index(param)

    def set_muted(self, muted: bool) -> None:
        """Digital silence, and back, by a fade of 10 ms; an effect written in Python rings out."""
        self._muted = muted
        engine = self._engine
        if engine is not None:
            engine.set_muted(muted)

    def open_python_effects(self, names: Sequence[str]) -> list[AudioEffect]:
        return effects_at(self._rate_hz or USUAL_RATE_HZ, names)

    def set_python_effects(self, python_effects: Sequence[AudioEffect]) -> None:
        with self._lock:
            self._effects = list(python_effects)

    # ---- what is taken of it --------------------------------------------------------------------

    def take(self, taker: TakeVoice) -> None:
        """Hand each block to `taker` as well, which must not wait."""
        self._takers = (*self._takers, taker)

    def leave(self, taker: TakeVoice) -> None:
        self._takers = tuple(other for other in self._takers if other != taker)

    def figures(self, now_ns: int) -> VoiceFigures:
        engine, rate_hz = self._engine, self._rate_hz
        return VoiceFigures(
            sample_rate_hz=rate_hz,
            blocks=self._blocks,
            misses=self._misses,
            lost=self._lost,
            block_ms=1e3 * self._block_frames / rate_hz if rate_hz else 0.0,
            declared_ms=1e3 * self._declared_frames() / rate_hz if rate_hz else 0.0,
            run=self._recent.figures(now_ns),
            in_level=engine.read_input_meter() if engine else (0.0, 0.0),
            out_level=engine.read_output_meter() if engine else (0.0, 0.0),
        )


def effects_at(rate_hz: int, names: Sequence[str]) -> list[AudioEffect]:
    return [open_effect(name, sample_rate_hz=float(rate_hz), channels=1) for name in names]


def settle(answer: Future[AudioMessage], block: AudioMessage) -> None:
    """Unless nobody waits any more."""
    with contextlib.suppress(InvalidStateError):
        answer.set_result(block)


def refuse(answer: Future[AudioMessage], error: BaseException) -> None:
    """Unless nobody waits any more."""
    with contextlib.suppress(InvalidStateError):
        answer.set_exception(error)
