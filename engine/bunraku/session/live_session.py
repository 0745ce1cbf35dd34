"""One live performance: a native chain on the audio thread, and everything around it that may wait.

with LiveSession("model.nam", source=DeviceEndpoint("microphone")) as session:
    session.wait(seconds=15)
    print(session.report())
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from bunraku import _native
from bunraku.effects.audio.native_model import load_model
from bunraku.effects.audio.python_effect import AudioEffect, open_effect, run_effects
from bunraku.errors import BunrakuError, NativeCoreError, UserInputError
from bunraku.io.audio_files import AudioClip, Samples, read_audio, with_channels
from bunraku.scheduler.block_worker import BlockWorker
from bunraku.scheduler.job_source import Block
from bunraku.session.device_link import DeviceLink
from bunraku.session.endpoints import (
    ClipEndpoint,
    DeviceBuffer,
    DeviceEndpoint,
    FileEndpoint,
    Sink,
    Source,
)
from bunraku.session.live_report import (
    BridgeFigures,
    DeclaredLatency,
    LiveReport,
    Quantiles,
)
from bunraku.session.recorder import Recorder, TakeOutput
from bunraku.session.running import Running
from bunraku.session.voice_cost import effects_cost_ns

ModelLike = str | Path | bytes | _native.Model

LEAST_RATE_HZ, MOST_RATE_HZ = 8_000, 384_000
MOST_BLOCK_FRAMES = 8192
CAPTURE_SECONDS = 8.0
MOST_DEVICE_BUFFER_S = 2.0
STOP_TIMEOUT_S = 1.0
SWAP_TIMEOUT_S = 5.0


class LiveSession(Running):
    """Plays `source` through `model` (and effects written in Python) to `sink`.

    model: a path, a name of the default pack, flat-file bytes or a loaded `_native.Model`.
    source: a device, or a file. sink: a device, or None: a file source is then paced by a clock
        (`real_time`) or run as fast as it goes, and a device source is only recorded.
    channels: voices; a mono voice hears the mean of the device's channels.
    python_effects: names of effects, or effects made with this session's rate and channels. They
        run on a worker thread, one block later, or as many as the device calls for at once.
    bridge_depth_blocks: how many blocks later; None: as the device calls, so far as that is known.
    seconds: how long to play; None: to the end of the file, or until stopped.
    record_to: an audio file for the output. keep_seconds: how much input and output `kept()` holds.
    take_output: is given the output as it was played, from a thread that may wait.
    most_delay_s: how late `set_output_delay` may make the output, for a picture that is slower.
    device_buffer: how much sound the device may hold ahead, "low", "high" or seconds; more is
        later and safer. A device may take it as a hint; the report shows what it says it does.
    reconnect: try to open a lost device again; else the session ends with DeviceError.

    Raises UserInputError, ModelFormatError, MediaError or DeviceError; each names the remedy.
    One control thread; `meters`, `report` and `request_stop` may be called from any.
    """

    def __init__(
        self,
        model: ModelLike,
        *,
        source: Source | None = None,
        sink: Sink = None,
        block_frames: int = 256,
        sample_rate_hz: int | None = None,
        channels: int = 1,
        size: float = 1.0,
        python_effects: Sequence[str | AudioEffect] = (),
        bridge_depth_blocks: int | None = None,
        seconds: float | None = None,
        record_to: str | Path | None = None,
        overwrite: bool = False,
        keep_seconds: float = 0.0,
        take_output: TakeOutput | None = None,
        most_delay_s: float = 0.0,
        real_time: bool = True,
        crossfade_frames: int = 0,
        device_buffer: DeviceBuffer = "high",
        reconnect: bool = True,
        on_message: Callable[[str], None] | None = None,
    ) -> None:
        check_settings(block_frames, sample_rate_hz, seconds)
        check_device_buffer(device_buffer)
        check_bridge_depth(bridge_depth_blocks)
        self.block_frames = block_frames
        self.channels = channels
        self._source = source if source is not None else DeviceEndpoint()
        self._on_message = on_message or (lambda text: None)
        self._messages: list[str] = []
        self._control = threading.Lock()
        self._model = load_model(model)

        self._link: DeviceLink | None = None
        wants_device = isinstance(sink, DeviceEndpoint) or isinstance(self._source, DeviceEndpoint)
        if wants_device:
            self._link = DeviceLink(
                input_name=self._source if isinstance(self._source, DeviceEndpoint) else None,
                output_name=sink,
                block_frames=block_frames,
                device_buffer=device_buffer,
                reconnect=reconnect,
                say=self._say,
            )
        clip = self._read_clip(sample_rate_hz)
        self.sample_rate_hz = self._choose_rate(sample_rate_hz, clip)
        self._stream = _native.Stream(
            self._model,
            channels=channels,
            sample_rate_hz=float(self.sample_rate_hz),
            max_block_frames=block_frames,
            crossfade_frames=crossfade_frames,
            size=size,
        )
        self._effects = self._made_effects(python_effects)
        self._heard_effects = self._effects  # the worker's: those of its last block
        self._bridge: _native.RingBridge | None = None
        self._worker: BlockWorker | None = None
        if self._effects:
            self._bridge = _native.RingBridge(
                channels,
                block_frames,
                float(self.sample_rate_hz),
                bridge_depth_blocks or self._known_bridge_depth(),
            )
            cost_ns = effects_cost_ns(self._effects, block_frames)
            self._worker = BlockWorker(self._bridge, self._run_effects, cost_ns=cost_ns)
        recorded = bool(record_to) or keep_seconds > 0 or take_output is not None
        self._engine = _native.LiveEngine(
            self._stream,
            sample_rate_hz=float(self.sample_rate_hz),
            input_channels=self._link.input_channels if self._link else 0,
            output_channels=self._link.output_channels if self._link else channels,
            bridge=self._bridge,
            source=None if clip is None else with_channels(clip.samples, channels),
            loop_source=self._loops,
            stop_after_frames=self._frames_to_play(seconds, clip),
            capture_seconds=CAPTURE_SECONDS if recorded else 0.0,
            most_delay_seconds=most_delay_s,
        )
        self._paced: _native.PacedDevice | None = None
        if self._link is None:
            self._paced = _native.PacedDevice(self._engine, block_frames, real_time)
        self._recorder: Recorder | None = None
        if recorded:
            self._recorder = Recorder(
                self._engine,
                path=Path(record_to) if record_to else None,
                sample_rate_hz=self.sample_rate_hz,
                overwrite=overwrite,
                keep_seconds=keep_seconds,
                take_output=take_output,
            )
        self._started = self._stopped = self._stop_requested = False

    # ---- set-up ---------------------------------------------------------------------------------

    def _read_clip(self, sample_rate_hz: int | None) -> AudioClip | None:
        """The file source, at the rate it will be played at."""
        if isinstance(self._source, ClipEndpoint):
            return self._source.clip
        if not isinstance(self._source, FileEndpoint):
            return None
        rate = sample_rate_hz
        if rate is None and self._link is not None:
            rate = self._link.default_sample_rate_hz
        clip = read_audio(self._source.path, sample_rate_hz=rate)
        if clip.sample_rate_hz < LEAST_RATE_HZ:
            clip = read_audio(self._source.path, sample_rate_hz=LEAST_RATE_HZ)
        return clip

    @property
    def _loops(self) -> bool:
        return not isinstance(self._source, DeviceEndpoint) and self._source.loop

    def _choose_rate(self, wanted: int | None, clip: AudioClip | None) -> int:
        if isinstance(self._source, ClipEndpoint):
            return self._source.clip.sample_rate_hz
        if wanted is not None:
            return wanted
        if self._link is not None:
            return self._link.default_sample_rate_hz
        assert clip is not None, "a session without a device plays a file"
        return clip.sample_rate_hz

    def _made_effects(self, wanted: Sequence[str | AudioEffect]) -> list[AudioEffect]:
        return [
            open_effect(effect, sample_rate_hz=self.sample_rate_hz, channels=self.channels)
            if isinstance(effect, str)
            else effect
            for effect in wanted
        ]

    def _known_bridge_depth(self) -> int:
        """Blocks: one where the calls come evenly, a whole row where they come in rows."""
        if self._link is None:
            return 1
        in_a_row = self._link.blocks_in_a_row(self.sample_rate_hz)
        return min(in_a_row, _native.RingBridge.MOST_DEPTH_BLOCKS)

    def _run_effects(self, block: Block) -> Block:
        """On the worker's thread. After an exchange one block fades from the old to the new."""
        effects, before = self._effects, self._heard_effects
        if effects is before:
            return run_effects(effects, block)
        self._heard_effects = effects
        old, new = run_effects(before, block.copy()), run_effects(effects, block)
        rise = np.linspace(0.0, 1.0, new.shape[1], dtype=np.float32)
        return old + rise * (new - old)

    def _frames_to_play(self, seconds: float | None, clip: AudioClip | None) -> int:
        """0: until stopped. A file is played with the tail that the latency pushes out."""
        frames = 0 if seconds is None else max(1, round(seconds * self.sample_rate_hz))
        if clip is None or self._loops:
            return frames
        whole = len(clip.samples) + self.declared_latency().frames
        return min(frames, whole) if frames else whole

    # ---- running --------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to play. Once; a stopped session is not started again. Raises OverloadError when
        its effects written in Python cannot be kept beside what runs, and what a device raises."""
        assert not self._started, "a session starts once"
        self._started = True
        if self._worker is not None:
            self._worker.start()
        if self._recorder is not None:
            self._recorder.start()
        if self._paced is not None:
            self._paced.start()
        elif self._link is not None:
            self._link.open(self._engine, self.sample_rate_hz)

    def stop(self) -> None:
        """Fade out, end the audio thread, finish the recording. Idempotent."""
        if self._stopped:
            return
        self._stopped = True
        self._engine.request_stop()
        if self._started and self._paced is not None:
            self._wait_until(lambda: self._paced is None or not self._paced.running)
            self._paced.stop()
        elif self._link is not None:
            if self._link.connected:
                self._wait_until(lambda: self._engine.finished)
            self._link.close()
        if self._worker is not None and not self._worker.stop():
            self._say("an effect written in Python still hangs in its process(); left behind")
        if self._recorder is not None:
            self._recorder.stop()

    def request_stop(self) -> None:
        """Any thread: fade out; `wait` then returns."""
        self._stop_requested = True
        self._engine.request_stop()

    def check(self) -> None:
        """One look at device, worker and recorder. Raises DeviceError when the device is lost for
        good, BunrakuError when an effect failed."""
        if self._worker is not None and self._worker.error is not None:
            names = ", ".join(effect.name for effect in self._effects)
            raise BunrakuError(
                f"an effect written in Python failed ({names}): {self._worker.error!r};"
                " correct it or leave it out"
            ) from self._worker.error
        self.check_recording()
        if self._link is not None and not self._engine.finished:
            self._link.check(self._engine, self.sample_rate_hz)

    def check_recording(self) -> None:
        """Raises what ended the recording. Also after `stop`, which writes its rest."""
        if self._recorder is not None and self._recorder.error is not None:
            raise self._recorder.error

    @property
    def running(self) -> bool:
        """Started, and neither stopped nor at the end."""
        if not self._started or self._stopped or self._engine.finished:
            return False
        if self._stop_requested and self._link is not None and not self._link.connected:
            return False  # the device is away: nobody will fade out
        return self._paced is None or self._paced.running

    @staticmethod
    def _wait_until(done: Callable[[], bool]) -> None:
        end = time.monotonic() + STOP_TIMEOUT_S
        while not done() and time.monotonic() < end:
            time.sleep(0.002)

    def _say(self, text: str) -> None:
        self._messages.append(text)
        self._on_message(text)

    # ---- control --------------------------------------------------------------------------------

    @property
    def model(self) -> _native.Model:
        """What plays, or is being faded to."""
        return self._model

    def swap(self, model: ModelLike) -> None:
        """Crossfade to another model while playing. Waits for a swap in progress.

        Raises NativeCoreError when no audio thread takes the swap in time.
        """
        loaded = load_model(model)
        with self._control:
            end = time.monotonic() + SWAP_TIMEOUT_S
            while self._stream.swap_pending():
                if time.monotonic() > end:
                    raise NativeCoreError(
                        "the last swap still waits for the audio thread; is the session playing?"
                    )
                time.sleep(0.0005)
            self._stream.swap(loaded)
            self._model = loaded

    def set_param(self, param: int | str, value: float) -> None:
        """Set a parameter of the model's chain by index or name. Glides there without a click."""
        names = [info["name"] for info in self._model.params]
        if isinstance(param, str):
            if param not in names:
                raise UserInputError(
                    f"no parameter is named '{param}'; at hand: {', '.join(names) or 'none'}"
                )
            param = names.index(param)
        self._stream.set_param(param, value)

    @property
    def takes_python_effects(self) -> bool:
        """Whether there is a worker for them: only a session that began with some has one."""
        return self._bridge is not None

    def admit(self, model: _native.Model, python_effects: Sequence[AudioEffect]) -> None:
        """Book what the effects would cost the scheduler; the model runs in the device's own
        callback. Raises OverloadError."""
        if self._worker is not None and python_effects:
            self._worker.book(effects_cost_ns(python_effects, self.block_frames))

    def open_python_effects(self, names: Sequence[str]) -> list[AudioEffect]:
        """Effects made for this session's rate and channels, for `set_python_effects`. Raises
        UserInputError for an unknown name, or when the session began without any."""
        if names and not self.takes_python_effects:
            raise UserInputError(
                f"its effects written in Python ({', '.join(names)}) need a worker, which a session"
                " that began without any has not: start that preset first, or again with one"
            )
        return self._made_effects(names)

    def set_python_effects(self, python_effects: Sequence[AudioEffect]) -> None:
        """Other effects from one block to the next, or none; the block between fades."""
        assert self.takes_python_effects or not python_effects, "they were opened by this session"
        self._effects = list(python_effects)

    def set_muted(self, muted: bool) -> None:
        """Any thread: digital silence, and back, without a click; in a recording too."""
        self._engine.set_muted(muted)

    def set_output_delay(self, delay_ns: int) -> None:
        """Any thread: play later by so much, at most `most_delay_s`, without a click."""
        self._engine.set_output_delay(round(delay_ns * self.sample_rate_hz / 1e9))

    # ---- figures --------------------------------------------------------------------------------

    def meters(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Input and output, each (peak since the last reading, root mean square), full scale 1."""
        return self._engine.read_input_meter(), self._engine.read_output_meter()

    def kept(self) -> tuple[Samples, Samples]:
        """After stop: the first `keep_seconds` of input and output, each `[frames, channels]`."""
        assert self._recorder is not None, "the session was made with keep_seconds"
        return self._recorder.kept()

    def clock_point(self) -> tuple[int, int]:
        """The first frame of the latest callback and the monotonic time at which it was called, in
        nanoseconds; 0 before the first. Frames are counted as they are played."""
        return self._engine.clock_point()

    def declared_latency(self) -> DeclaredLatency:
        """The delays that the chain, the bridge and the Python effects declare."""
        return DeclaredLatency(
            chain_frames=self._stream.latency_frames,
            bridge_frames=self._bridge.latency_frames if self._bridge is not None else 0,
            effects_frames=sum(effect.latency_frames for effect in self._effects),
        )

    def report(self) -> LiveReport:
        """Everything counted so far."""
        counted = self._engine.stats()
        compute = Quantiles.from_summary(counted["compute"])
        paced = self._paced.stats() if self._paced is not None else None
        timed = paced is not None and paced["added"]["count"] > 0
        measured = Quantiles.from_summary(paced["added"]) if paced and timed else compute
        declared = self.declared_latency()
        declared_ms = 1e3 * declared.frames / self.sample_rate_hz
        return LiveReport(
            model=self._model.name,
            isa=self._model.isa,
            sample_rate_hz=self.sample_rate_hz,
            block_frames=self.block_frames,
            channels=self.channels,
            seconds=counted["frames"] / self.sample_rate_hz,
            blocks=counted["callbacks"],
            misses=counted["missed_deadlines"],
            output_underflows=paced["underflows"] if paced else counted["output_underflows"],
            input_overflows=counted["input_overflows"],
            input_underflows=counted["input_underflows"],
            output_overflows=counted["output_overflows"],
            clipped_samples=counted["clipped_samples"],
            non_finite_samples=counted["non_finite_samples"],
            recording_dropped_frames=counted["capture_dropped_frames"],
            block_ms=1e3 * self.block_frames / self.sample_rate_hz,
            declared=declared,
            declared_ms=declared_ms,
            compute_ms=compute,
            wake_up_ms=Quantiles.from_summary(paced["lateness"]) if paced and timed else None,
            added_latency_ms=measured.plus(declared_ms),
            device=self._link.figures(counted["device_round_trip"]) if self._link else None,
            bridge=self._bridge_figures(),
            realtime_priority=bool(paced["realtime_priority"]) if paced and timed else None,
            messages=tuple(self._messages),
        )

    def _bridge_figures(self) -> BridgeFigures | None:
        if self._bridge is None:
            return None
        names = tuple(effect.name for effect in self._effects)
        return BridgeFigures(effects=names, **self._bridge.stats())


def check_settings(block_frames: int, sample_rate_hz: int | None, seconds: float | None) -> None:
    """Raises UserInputError for a number out of range."""
    if not 1 <= block_frames <= MOST_BLOCK_FRAMES:
        raise UserInputError(f"block_frames is {block_frames}: use 1 to {MOST_BLOCK_FRAMES}")
    if sample_rate_hz is not None and not LEAST_RATE_HZ <= sample_rate_hz <= MOST_RATE_HZ:
        raise UserInputError(
            f"sample_rate_hz is {sample_rate_hz}: use {LEAST_RATE_HZ} to {MOST_RATE_HZ}"
        )
    if seconds is not None and not 0.0 < seconds < 1e6:
        raise UserInputError(f"seconds is {seconds:g}: use more than 0 and less than a million")


def check_bridge_depth(wanted: int | None) -> None:
    """Raises UserInputError for a number out of range."""
    most = _native.RingBridge.MOST_DEPTH_BLOCKS
    if wanted is not None and not 1 <= wanted <= most:
        raise UserInputError(f"bridge_depth_blocks is {wanted}: use 1 to {most}, or leave it out")


def check_device_buffer(wanted: DeviceBuffer) -> None:
    """Raises UserInputError for what is neither a known word nor a sensible time."""
    if wanted in ("low", "high"):
        return
    if isinstance(wanted, str) or not 0.0 < wanted <= MOST_DEVICE_BUFFER_S:
        raise UserInputError(
            f"device_buffer is {wanted}: use low, high, or more than 0 and at most"
            f" {MOST_DEVICE_BUFFER_S:g} s"
        )
