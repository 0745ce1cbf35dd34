"""The voice of one browser: the browser is the audio device, each message one callback."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bunraku import _native
from bunraku.effects.audio.native_model import load_model
from bunraku.effects.audio.python_effect import AudioEffect, open_effect
from bunraku.errors import UserInputError
from bunraku.io.audio_files import Samples
from bunraku.serving.audio_message import AudioMessage
from bunraku.serving.limits import MOST_AUDIO_FRAMES
from bunraku.serving.recent_latency import RecentFigures, RecentLatency
from bunraku.session.audio_clock import AudioClock
from bunraku.streaming.audio_block import NS_PER_S

CROSSFADE_S = 0.03
SEQUENCES = 1 << 32

TakeVoice = Callable[[Samples, int], None]
OnBlock = Callable[[int, bool], None]
"""(nanoseconds that a block took, whether that is longer than the block lasts)."""


@dataclass(frozen=True)
class VoiceFigures:
    """lost: blocks that never came, by the gaps in their numbers. in_level, out_level: (peak since
    the last reading, root mean square), full scale 1."""

    model: str
    effects: tuple[str, ...]
    sample_rate_hz: int
    blocks: int
    misses: int
    lost: int
    block_ms: float
    declared_ms: float
    run: RecentFigures
    in_level: tuple[float, float]
    out_level: tuple[float, float]


class BrowserVoice:
    """`process` from one thread; `choose` and the figures from any."""

    def __init__(self, model: str, on_block: OnBlock | None = None) -> None:
        self.model = model
        self.effect_names: tuple[str, ...] = ()
        self._loaded = load_model(model)
        self._on_block = on_block or (lambda spent_ns, missed: None)
        self._lock = threading.Lock()  # around what `choose` exchanges
        self._effects: list[AudioEffect] = []
        self._stream: _native.Stream | None = None
        self._engine: _native.LiveEngine | None = None
        self._clock: AudioClock | None = None
        self._takers: tuple[TakeVoice, ...] = ()
        self._recent = RecentLatency()
        self._rate_hz = 0
        self._frames = self._blocks = self._misses = self._lost = self._block_frames = 0
        self._expected = 0

    def process(self, message: AudioMessage) -> AudioMessage:
        """The block after model and effects. The rate is that of the first message. Raises
        UserInputError for another one."""
        began_ns = time.monotonic_ns()
        if self._engine is None:
            self._open(message)
        if message.sample_rate_hz != self._rate_hz:
            raise UserInputError(
                f"{message.sample_rate_hz} Hz after {self._rate_hz} Hz: connect anew to change it"
            )
        assert self._engine is not None, "it was opened"
        self._count_gap(message.sequence)
        output, _ = self._engine.call(message.samples)
        with self._lock:
            effects = self._effects
        for effect in effects:
            output = np.ascontiguousarray(effect.process(np.ascontiguousarray(output.T)).T)
        self._hand_on(output, began_ns)
        self._count_block(len(output), began_ns)
        return AudioMessage(output, message.sequence, message.sample_rate_hz, message.format)

    def restart(self) -> None:
        """The next message may have another rate: a new connection begins. On the thread that
        processes."""
        with self._lock:
            self._engine = self._stream = None

    def _open(self, first: AudioMessage) -> None:
        rate_hz = first.sample_rate_hz
        self._rate_hz, self._expected, self._frames = rate_hz, first.sequence, 0
        with self._lock:
            self._stream = _native.Stream(
                self._loaded,
                channels=1,
                sample_rate_hz=float(rate_hz),
                max_block_frames=MOST_AUDIO_FRAMES,
                crossfade_frames=round(CROSSFADE_S * rate_hz),
            )
            self._engine = _native.LiveEngine(
                self._stream, sample_rate_hz=float(rate_hz), input_channels=1, output_channels=1
            )
            self._effects = self._opened(self.effect_names)
        self._clock = AudioClock(rate_hz)

    def _count_gap(self, sequence: int) -> None:
        gap = (sequence - self._expected) % SEQUENCES
        if gap < SEQUENCES // 2:
            self._lost += gap
        self._expected = (sequence + 1) % SEQUENCES

    def _hand_on(self, output: Samples, now_ns: int) -> None:
        """With the time at which the block's first frame was heard, as far as its arrival says."""
        assert self._clock is not None, "it was opened"
        self._clock.observe(self._frames + len(output), now_ns)
        late_frames = self._declared_frames()
        if self._takers:
            time_ns = self._clock.time_ns_of(self._frames - late_frames)
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
        stream = self._stream.latency_frames if self._stream else 0
        return stream + sum(effect.latency_frames for effect in self._effects)

    def choose(self, model: str, path_or_name: str, effects: Sequence[str] = ()) -> None:
        """Another model, crossfaded to, and other effects after it. model: what it is called on the
        page; path_or_name: where it is. Takes a while: not on the event loop. Raises UserInputError
        or ModelFormatError, and all stays as it was."""
        loaded = load_model(path_or_name)
        opened = self._opened(effects)  # before anything changes: a wrong name changes nothing
        with self._lock:
            if self._stream is not None:
                if self._stream.swap_pending():
                    raise UserInputError("the last change is still being faded in: try again")
                self._stream.swap(loaded)
            self._loaded, self._effects = loaded, opened
            self.model, self.effect_names = model, tuple(effects)

    def _opened(self, names: Sequence[str]) -> list[AudioEffect]:
        rate_hz = float(self._rate_hz or 48_000)
        return [open_effect(name, sample_rate_hz=rate_hz, channels=1) for name in names]

    def take(self, taker: TakeVoice) -> None:
        """Hand each block to `taker` as well, which must not wait."""
        self._takers = (*self._takers, taker)

    def leave(self, taker: TakeVoice) -> None:
        self._takers = tuple(other for other in self._takers if other != taker)

    @property
    def sample_rate_hz(self) -> int | None:
        """None before the first block."""
        return self._rate_hz or None

    def figures(self, now_ns: int) -> VoiceFigures:
        engine, rate_hz = self._engine, self._rate_hz
        return VoiceFigures(
            model=self.model,
            effects=self.effect_names,
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
