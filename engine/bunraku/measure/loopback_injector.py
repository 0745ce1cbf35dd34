"""A live engine on devices that plays markers in place of what it hears, and keeps what it hears.

The audio thread runs what it always runs: device, model, ring bridge, device, in C. Behind the
bridge, where effects written in Python stand, markers are exchanged for what came. The bridge's
block is long, so that the bursts in which sound servers call do not matter; it is on neither way
that is measured.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import numpy as np

from bunraku import _native
from bunraku.effects.audio.native_model import load_model
from bunraku.io.audio_files import Samples
from bunraku.measure.marker import Signal, draw_markers
from bunraku.session.device_link import DeviceLink
from bunraku.session.endpoints import DeviceBuffer, DeviceEndpoint
from bunraku.session.live_report import DeviceFigures
from bunraku.session.live_session import (
    CAPTURE_SECONDS,
    LiveSession,
    check_device_buffer,
    check_settings,
)
from bunraku.session.recorder import Recorder

ModelFor = Callable[[int], bytes]
BRIDGE_FRAMES = 4096
TAKE_TIMEOUT_S = 0.1
TICK_S = 0.05


class DeviceLoop:
    """Open devices, not yet started. model: a file, a name of the pack, or what makes one for the
    sample rate that the devices have. All frames are counted as the engine counts them.

    Raises DeviceError, UserInputError, ModelFormatError.
    """

    def __init__(
        self,
        model: str | ModelFor,
        *,
        input_name: str | int | None,
        output_name: str | int | None,
        block_frames: int,
        sample_rate_hz: int | None,
        device_buffer: DeviceBuffer,
    ) -> None:
        check_settings(block_frames, sample_rate_hz, None)
        check_device_buffer(device_buffer)
        if isinstance(model, str):
            self.model = load_model(model)  # before any device: the name may be wrong
        self.block_frames = block_frames
        self._link = DeviceLink(
            input_name=DeviceEndpoint(input_name),
            output_name=DeviceEndpoint(output_name),
            block_frames=block_frames,
            device_buffer=device_buffer,
            reconnect=False,
            say=lambda text: None,
        )
        self.sample_rate_hz = sample_rate_hz or self._link.default_sample_rate_hz
        if not isinstance(model, str):
            self.model = load_model(model(self.sample_rate_hz))
        rate_hz = float(self.sample_rate_hz)
        self._stream = _native.Stream(
            self.model, sample_rate_hz=rate_hz, max_block_frames=block_frames
        )
        self._bridge = _native.RingBridge(1, BRIDGE_FRAMES, rate_hz)
        self.engine = _native.LiveEngine(
            self._stream,
            sample_rate_hz=rate_hz,
            input_channels=self._link.input_channels,
            output_channels=self._link.output_channels,
            bridge=self._bridge,
            capture_seconds=CAPTURE_SECONDS,
        )

    @property
    def latency_frames(self) -> int:
        """What the model declares."""
        return self._stream.latency_frames

    def device(self) -> DeviceFigures:
        return self._link.figures(self.engine.stats()["device_round_trip"])

    def run(
        self, positions: Sequence[int], frames: int, on_tick: Callable[[], None]
    ) -> tuple[Samples, Samples, Signal]:
        """Play markers that begin at these frames. Returns what the input device gave, what the
        output device got, and what came out of the model, each float32 [frames]. Raises DeviceError
        when the device goes away."""
        self._train = draw_markers(positions, frames, self.sample_rate_hz)
        self._heard = np.zeros(frames, np.float32)
        recorder = Recorder(
            self.engine,
            path=None,
            sample_rate_hz=self.sample_rate_hz,
            overwrite=False,
            keep_seconds=frames / self.sample_rate_hz,
        )
        self._stop = threading.Event()
        exchanger = threading.Thread(target=self._exchange, name="bunraku-markers", daemon=True)
        exchanger.start()
        recorder.start()
        try:
            self._link.open(self.engine, self.sample_rate_hz)
            self._wait(frames, on_tick)
        finally:
            self.engine.request_stop()
            self._link.close()
            self._stop.set()
            exchanger.join()
            recorder.stop()
        came, played = (side.mean(axis=1) for side in recorder.kept())
        return came, played, self._heard

    def _wait(self, frames: int, on_tick: Callable[[], None]) -> None:
        while self.engine.stats()["frames"] < frames:
            time.sleep(TICK_S)
            self._link.check(self.engine, self.sample_rate_hz)
            on_tick()

    def _exchange(self) -> None:
        """Block `sequence` is played one bridge block later than it was heard."""
        while not self._stop.is_set():
            taken = self._bridge.take(TAKE_TIMEOUT_S)
            if taken is None:
                continue
            sequence, block = taken
            first = sequence * BRIDGE_FRAMES
            heard = self._heard[first : first + BRIDGE_FRAMES]
            heard[:] = block[0, : len(heard)]
            markers = np.zeros((1, BRIDGE_FRAMES), np.float32)
            part = self._train[first + BRIDGE_FRAMES : first + 2 * BRIDGE_FRAMES]
            markers[0, : len(part)] = part
            self._bridge.put(sequence, markers)


class BlockClock:
    """Notes when a paced session's blocks were begun, from a thread that looks twice a block."""

    NEAR_S = 0.5

    def __init__(self, session: LiveSession) -> None:
        self._session = session
        self._points: list[tuple[int, int]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bunraku-block-clock", daemon=True)

    def __enter__(self) -> BlockClock:
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._stop.set()
        self._thread.join()

    def lateness_s(self, frame: int) -> float | None:
        """How much later than due the block with this frame was begun; None if it was not seen.
        The earliest block within half a second counts as begun when it was due."""
        block = self._session.block_frames
        rate = self._session.sample_rate_hz
        first = frame - frame % block
        near = self.NEAR_S * rate
        begun = {f: t / 1e9 - f / rate for f, t in self._points if abs(f - first) < near}
        return begun[first] - min(begun.values()) if first in begun else None

    def _run(self) -> None:
        pause_s = 0.5 * self._session.block_frames / self._session.sample_rate_hz
        while not self._stop.is_set():
            point = self._session.clock_point()
            if point[1] > 0 and (not self._points or self._points[-1][0] != point[0]):
                self._points.append(point)
            time.sleep(pause_s)
