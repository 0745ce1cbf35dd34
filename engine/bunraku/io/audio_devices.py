"""The sound devices that PortAudio sees, and the choice among them by name or number."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

from bunraku.errors import DeviceError, MissingDependencyError

Direction = Literal["input", "output"]


@dataclass(frozen=True)
class DefaultBuffers:
    """How much sound a device holds by default, seconds."""

    low_s: float = 0.0
    high_s: float = 0.0


@dataclass(frozen=True)
class AudioDevice:
    """One device of one host API, as PortAudio lists it."""

    index: int
    name: str
    host_api: str
    input_channels: int
    output_channels: int
    default_sample_rate_hz: float
    is_default_input: bool
    is_default_output: bool
    input_buffers: DefaultBuffers = DefaultBuffers()
    output_buffers: DefaultBuffers = DefaultBuffers()

    def channels(self, direction: Direction) -> int:
        return self.input_channels if direction == "input" else self.output_channels

    def is_default(self, direction: Direction) -> bool:
        return self.is_default_input if direction == "input" else self.is_default_output

    def buffer_s(self, direction: Direction, wanted: str | float) -> float:
        """What "low" or "high" means here, in seconds; a time stays what it is."""
        if not isinstance(wanted, str):
            return wanted
        buffers = self.input_buffers if direction == "input" else self.output_buffers
        return buffers.low_s if wanted == "low" else buffers.high_s


def sounddevice_module() -> ModuleType:
    """sounddevice, imported on first use.

    Raises MissingDependencyError without the package, DeviceError without PortAudio's library.
    """
    try:
        import sounddevice
    except ImportError as error:
        raise MissingDependencyError(
            "live audio needs the package 'sounddevice': pip install 'bunraku[cli]'"
        ) from error
    except OSError as error:
        raise DeviceError(
            f"PortAudio is not installed ({error}): install it (Debian: apt-get install"
            " libportaudio2), or play a file with --source FILE --out OUT.wav"
        ) from error
    module: ModuleType = sounddevice
    return module


def list_devices(*, refresh: bool = False) -> list[AudioDevice]:
    """Every device, in PortAudio's order. `refresh` looks again for what was plugged in since the
    start; it must not be used while a stream is open."""
    sounddevice = sounddevice_module()
    try:
        if refresh:
            sounddevice._terminate()
            sounddevice._initialize()
        host_apis = sounddevice.query_hostapis()
        found = sounddevice.query_devices()
    except sounddevice.PortAudioError as error:
        raise DeviceError(f"PortAudio cannot list the sound devices ({error})") from error
    default = default_host_api(host_apis)
    return [
        AudioDevice(
            index=int(device["index"]),
            name=str(device["name"]),
            host_api=str(host_apis[device["hostapi"]]["name"]),
            input_channels=int(device["max_input_channels"]),
            output_channels=int(device["max_output_channels"]),
            default_sample_rate_hz=float(device["default_samplerate"]),
            is_default_input=device["index"] == default.get("default_input_device", -1),
            is_default_output=device["index"] == default.get("default_output_device", -1),
            input_buffers=default_buffers(device, "input"),
            output_buffers=default_buffers(device, "output"),
        )
        for device in found
    ]


def default_buffers(device: dict[str, Any], direction: Direction) -> DefaultBuffers:
    return DefaultBuffers(
        *(float(device[f"default_{size}_{direction}_latency"]) for size in ("low", "high"))
    )


def default_host_api(host_apis: tuple[dict[str, object], ...]) -> dict[str, object]:
    """JACK's where its server runs, else the first that has devices, which is PortAudio's default.

    Whoever starts JACK wants it; ALSA then offers the same server through a plugin of its own, with
    a second buffer in between.
    """
    with_devices = [api for api in host_apis if api["devices"]]
    with_devices.sort(key=lambda api: "JACK" not in str(api["name"]))  # the others as they were
    return with_devices[0] if with_devices else {}


def choose_device(
    wanted: str | int | None, direction: Direction, devices: list[AudioDevice] | None = None
) -> AudioDevice:
    """The device of that number, or whose name contains `wanted`; the system's default for None.

    An exact name goes before a fragment, and among equals the default host API's comes first.
    Raises DeviceError that lists the devices at hand.
    """
    known = list_devices() if devices is None else devices
    able = [d for d in known if d.channels(direction) > 0]
    if not able:
        raise DeviceError(
            f"no audio {direction} device is present: plug one in or start the sound server,"
            " or play a file with --source FILE --out OUT.wav"
        )
    if wanted is None:
        defaults = [d for d in able if d.is_default(direction)]
        return (defaults or able)[0]
    if isinstance(wanted, int) or wanted.isdigit():
        matches = [d for d in able if d.index == int(wanted)]
    else:
        matches = [d for d in able if d.name.lower() == wanted.lower()]
        matches = matches or [d for d in able if wanted.lower() in d.name.lower()]
    if len({d.name for d in matches}) == 1:
        return matches[0]
    listed = ", ".join(f"{d.index} '{d.name}' ({d.host_api})" for d in matches or able)
    if matches:
        raise DeviceError(
            f"'{wanted}' fits several audio {direction} devices: {listed};"
            " give the number, or more of the name"
        )
    raise DeviceError(f"'{wanted}' names no audio {direction} device; at hand: {listed}")
