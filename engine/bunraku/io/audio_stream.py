"""A PortAudio stream whose callback is a C function: Python never runs on the audio thread.

python-rtmixer showed the way: sounddevice's base class takes a C function pointer as callback.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, Protocol

from bunraku.errors import DeviceError
from bunraku.io.audio_devices import AudioDevice, sounddevice_module

CLOSE_TIMEOUT_S = 3.0


class Engine(Protocol):
    """What runs on the audio thread: `_native.LiveEngine` has these."""

    @property
    def callback_address(self) -> int: ...
    @property
    def user_address(self) -> int: ...


@dataclass(frozen=True)
class DeviceLatency:
    """What PortAudio says about its buffers; seconds, None where there is no such direction."""

    input_s: float | None
    output_s: float | None


class DeviceStream:
    """Opens an input, an output or both for `engine`; `start` lets them call.

    Raises DeviceError naming the device, what it refused and the remedy.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        input_device: AudioDevice | None,
        output_device: AudioDevice | None,
        input_channels: int,
        output_channels: int,
        sample_rate_hz: int,
        block_frames: int,
        latency: str | float,
    ) -> None:
        self._sounddevice = sounddevice_module()
        self._engine = engine  # the audio thread holds its address
        self.input_device = input_device
        self.output_device = output_device
        common = {
            "samplerate": sample_rate_hz,
            "blocksize": block_frames,
            "dtype": "float32",
            "latency": latency,
            "callback": engine.callback_address,
            "userdata": self._sounddevice._ffi.cast("void*", engine.user_address),
        }
        wanted: dict[str, Any]
        if input_device is not None and output_device is not None:
            wanted = {
                "kind": "duplex",
                "device": (input_device.index, output_device.index),
                "channels": (input_channels, output_channels),
            }
        elif input_device is not None:
            wanted = {"kind": "input", "device": input_device.index, "channels": input_channels}
        else:
            assert output_device is not None, "a stream has an input, an output or both"
            wanted = {"kind": "output", "device": output_device.index, "channels": output_channels}
        try:
            self._stream = self._sounddevice._StreamBase(**wanted, **common)
        except (self._sounddevice.PortAudioError, ValueError) as error:
            raise DeviceError(
                f"{self.describe()} refused {sample_rate_hz} Hz in blocks of {block_frames} frames"
                f" ({one_line(error)}); try another --rate or --block, or another device"
                " ('bunraku devices' lists them)"
            ) from error

    def describe(self) -> str:
        """The devices' names in a few words."""
        names = [d.name for d in (self.input_device, self.output_device) if d is not None]
        return " with ".join(f"'{name}'" for name in dict.fromkeys(names))

    def start(self) -> None:
        try:
            self._stream.start()
        except self._sounddevice.PortAudioError as error:
            raise DeviceError(
                f"{self.describe()} does not start ({one_line(error)}); is it in use elsewhere?"
            ) from error

    @property
    def active(self) -> bool:
        """False once the callback has ended, or the device has gone and PortAudio noticed."""
        try:
            return bool(self._stream.active)
        except self._sounddevice.PortAudioError:
            return False

    @property
    def latency(self) -> DeviceLatency:
        known = self._stream.latency
        if isinstance(known, tuple):
            return DeviceLatency(float(known[0]), float(known[1]))
        if self.output_device is None:
            return DeviceLatency(float(known), None)
        return DeviceLatency(None, float(known))

    def close(self) -> bool:
        """Stop at once and close. False when the device's driver does not let go in time (its
        server is gone): the stream and its engine are then kept alive, so that a late callback
        still finds them."""
        closer = threading.Thread(target=self._close, name="bunraku-close", daemon=True)
        closer.start()
        closer.join(CLOSE_TIMEOUT_S)
        if closer.is_alive():
            STUCK_STREAMS.append(self)
            return False
        return True

    def _close(self) -> None:
        self._stream.abort(ignore_errors=True)
        self._stream.close(ignore_errors=True)


STUCK_STREAMS: list[DeviceStream] = []
"""Streams whose driver never let go; their memory must outlive the audio thread."""


def one_line(error: Exception) -> str:
    """PortAudio's words, without its sometimes several lines."""
    return " ".join(str(error).split()).rstrip(".")
