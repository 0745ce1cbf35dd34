"""A session's tie to sound devices: opening, noticing a loss, opening again."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from bunraku import _native
from bunraku.errors import DeviceError
from bunraku.io.audio_bursts import blocks_in_a_row
from bunraku.io.audio_devices import AudioDevice, Direction, choose_device, list_devices
from bunraku.io.audio_stream import DeviceLatency, DeviceStream
from bunraku.session.endpoints import DeviceBuffer, DeviceEndpoint
from bunraku.session.live_report import DeviceFigures, Quantiles

LOSS_AFTER_S = 1.0
FIRST_CALL_AFTER_S = 5.0
BACKOFF_S = (0.25, 0.5, 1.0, 2.0, 4.0)
GIVE_UP_AFTER_S = 60.0
MOST_DEVICE_CHANNELS = 2


class DeviceLink:
    """Holds at most one open stream for an input, an output, or both.

    A device counts as lost when its stream ends by itself, or its callback was not called for a
    second (five before the first call). With `reconnect`, the link then looks again with growing
    pauses, for a minute; it finds a device by the same name, which may have got another number.
    """

    def __init__(
        self,
        *,
        input_name: DeviceEndpoint | None,
        output_name: DeviceEndpoint | None,
        block_frames: int,
        device_buffer: DeviceBuffer,
        reconnect: bool,
        say: Callable[[str], None],
    ) -> None:
        self._input_name = input_name
        self._output_name = output_name
        self._block_frames = block_frames
        self._device_buffer = device_buffer
        self._reconnect = reconnect
        self._say = say
        self._stream: DeviceStream | None = None
        self._calls = 0
        self._called_at = 0.0
        self._lost_at: float | None = None
        self._next_try_at = 0.0
        self._tries = 0
        self._losses = 0
        self._latency = DeviceLatency(None, None)
        self._name = ""
        self._input, self._output = self._choose(list_devices())
        self.input_channels = channels_of(self._input, "input")
        self.output_channels = channels_of(self._output, "output") or 1

    def _choose(self, devices: list[AudioDevice]) -> tuple[AudioDevice | None, AudioDevice | None]:
        found_in = found_out = None
        if self._input_name is not None:
            found_in = choose_device(self._input_name.name, "input", devices)
        if self._output_name is not None:
            found_out = choose_device(self._output_name.name, "output", devices)
        return found_in, found_out

    @property
    def default_sample_rate_hz(self) -> int:
        device = self._output or self._input
        assert device is not None, "a link has an input, an output or both"
        return round(device.default_sample_rate_hz)

    def blocks_in_a_row(self, sample_rate_hz: int) -> int:
        """How many blocks the device calls for at once, before the next pause."""
        sides: list[tuple[AudioDevice | None, Direction]] = [
            (self._input, "input"),
            (self._output, "output"),
        ]
        return max(
            blocks_in_a_row(
                device,
                direction,
                block_frames=self._block_frames,
                sample_rate_hz=sample_rate_hz,
                buffer=self._device_buffer,
            )
            for device, direction in sides
            if device is not None
        )

    @property
    def connected(self) -> bool:
        return self._stream is not None

    def open(self, engine: _native.LiveEngine, sample_rate_hz: int) -> None:
        """Open and start. Raises DeviceError."""
        stream = DeviceStream(
            engine,
            input_device=self._input,
            output_device=self._output,
            input_channels=self.input_channels,
            output_channels=self.output_channels,
            sample_rate_hz=sample_rate_hz,
            block_frames=self._block_frames,
            latency=self._device_buffer,
        )
        try:
            stream.start()
        except DeviceError:
            stream.close()
            raise
        self._stream = stream
        self._latency, self._name = stream.latency, stream.describe()
        self._calls = calls_of(engine)
        self._called_at = time.monotonic() + FIRST_CALL_AFTER_S - LOSS_AFTER_S

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def check(self, engine: _native.LiveEngine, sample_rate_hz: int) -> None:
        """Notice a loss; once lost, try to come back. Raises DeviceError when it is for good."""
        now = time.monotonic()
        if self._stream is not None:
            calls = calls_of(engine)
            if calls != self._calls:
                self._calls, self._called_at = calls, now
            if not self._stream.active or now - self._called_at > LOSS_AFTER_S:
                self._lose(now)
        elif self._lost_at is not None and now >= self._next_try_at:
            self._try_again(engine, sample_rate_hz, now)

    def _lose(self, now: float) -> None:
        assert self._stream is not None
        name = self._stream.describe()
        let_go = self._stream.close()
        self._stream = None
        self._losses += 1
        problem = f"the audio device {name} is gone (unplugged, or its sound server ended)"
        if not self._reconnect:
            raise DeviceError(f"{problem}; plug it in and start again")
        if not let_go:
            raise DeviceError(f"{problem} and its driver does not let go; start bunraku again")
        self._lost_at, self._tries = now, 0
        self._next_try_at = now + BACKOFF_S[0]
        self._say(f"{problem}; trying again for {GIVE_UP_AFTER_S:.0f} s")

    def _try_again(self, engine: _native.LiveEngine, sample_rate_hz: int, now: float) -> None:
        assert self._lost_at is not None
        try:
            self._input, self._output = self._choose(list_devices(refresh=True))
            self._check_channels()
            engine.rearm()
            self.open(engine, sample_rate_hz)
        except DeviceError as error:
            if now - self._lost_at > GIVE_UP_AFTER_S:
                raise DeviceError(
                    f"the audio device did not come back within {GIVE_UP_AFTER_S:.0f} s: {error}"
                ) from error
            self._tries += 1
            self._next_try_at = now + BACKOFF_S[min(self._tries, len(BACKOFF_S) - 1)]
            return
        self._lost_at = None
        assert self._stream is not None
        self._say(f"playing again on {self._stream.describe()}")

    def _check_channels(self) -> None:
        """The engine is laid out for the first device's channels."""
        pairs: list[tuple[AudioDevice | None, Direction, int]] = [
            (self._input, "input", self.input_channels),
            (self._output, "output", self.output_channels if self._output else 0),
        ]
        for device, direction, channels in pairs:
            have = channels_of(device, direction)
            if device is not None and have < channels:
                raise DeviceError(
                    f"'{device.name}' has {have} {direction} channels, the session needs {channels}"
                )

    def figures(self, round_trip: Mapping[str, int]) -> DeviceFigures:
        """What the device opened last says about its latency."""
        input_s, output_s = self._latency.input_s, self._latency.output_s
        return DeviceFigures(
            name=self._name,
            input_latency_ms=None if input_s is None else 1e3 * input_s,
            output_latency_ms=None if output_s is None else 1e3 * output_s,
            round_trip_ms=Quantiles.from_summary(round_trip) if round_trip["count"] else None,
            losses=self._losses,
        )


def channels_of(device: AudioDevice | None, direction: Direction) -> int:
    """How many of the device's channels the session opens: at most two."""
    return 0 if device is None else min(device.channels(direction), MOST_DEVICE_CHANNELS)


def calls_of(engine: _native.LiveEngine) -> int:
    return int(engine.stats()["callbacks"])
