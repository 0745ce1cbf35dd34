"""The choice of a device by name, number or default, and the words when there is none."""

from __future__ import annotations

import builtins
import sys

import pytest
from bunraku.errors import DeviceError, MissingDependencyError
from bunraku.io.audio_bursts import blocks_in_a_row
from bunraku.io.audio_devices import (
    AudioDevice,
    DefaultBuffers,
    choose_device,
    default_host_api,
    sounddevice_module,
)


def device(index: int, name: str, ins: int, outs: int, default: str = "", api: str = "ALSA"):
    return AudioDevice(index, name, api, ins, outs, 48_000.0, "in" in default, "out" in default)


DEVICES = [
    device(0, "HDA Intel: analog", 2, 2),
    device(1, "USB Microphone", 1, 0),
    device(2, "USB Headset", 1, 2, "in"),
    device(3, "pulse", 32, 32, "out"),
    device(4, "pulse monitor", 2, 0),
    device(5, "USB Headset", 1, 2, api="JACK"),
]


@pytest.mark.parametrize(
    ("wanted", "direction", "index"),
    [
        (None, "input", 2),
        (None, "output", 3),
        (1, "input", 1),
        ("0", "output", 0),
        ("microphone", "input", 1),
        ("PULSE", "input", 3),  # an exact name goes before a fragment
        ("monitor", "input", 4),
        ("headset", "output", 2),  # one device under two host APIs: the first
    ],
)
def test_choice(wanted: str | int | None, direction: str, index: int) -> None:
    assert choose_device(wanted, direction, DEVICES).index == index  # type: ignore[arg-type]


def test_default_is_the_first_that_can_when_none_is_marked() -> None:
    assert choose_device(None, "output", [DEVICES[1], DEVICES[0]]).index == 0


@pytest.mark.parametrize(
    ("wanted", "direction", "says"),
    [
        ("banjo", "input", "'banjo' names no audio input device; at hand: 0 'HDA Intel: analog'"),
        ("usb", "input", "'usb' fits several audio input devices: 1 'USB Microphone'"),
        (1, "output", "'1' names no audio output device; at hand: 0"),
        (99, "input", "'99' names no"),
    ],
)
def test_wrong_choice_lists_what_is_there(wanted: str | int, direction: str, says: str) -> None:
    with pytest.raises(DeviceError, match=says):
        choose_device(wanted, direction, DEVICES)  # type: ignore[arg-type]


def test_a_running_jack_is_the_default() -> None:
    alsa = {"name": "ALSA", "devices": [0]}
    oss: dict[str, object] = {"name": "OSS", "devices": []}
    jack = {"name": "JACK Audio Connection Kit", "devices": [1]}
    assert default_host_api((oss, alsa, jack)) is jack
    assert default_host_api((oss, alsa, {**jack, "devices": []})) is alsa
    assert default_host_api((oss,)) == {}


def test_no_device_at_all_names_the_way_out() -> None:
    with pytest.raises(DeviceError, match=r"no audio input device is present.*--source FILE"):
        choose_device(None, "input", [DEVICES[0]][:0])


@pytest.mark.parametrize(
    ("failure", "kind", "says"),
    [
        (ImportError("no module"), MissingDependencyError, "pip install 'bunraku"),
        (OSError("PortAudio library not found"), DeviceError, "libportaudio2"),
    ],
)
def test_without_the_library(
    monkeypatch: pytest.MonkeyPatch, failure: Exception, kind: type[Exception], says: str
) -> None:
    real_import = builtins.__import__

    def no_sounddevice(name: str, *args: object, **kwargs: object) -> object:
        if name == "sounddevice":
            raise failure
        return real_import(name, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(builtins, "__import__", no_sounddevice)
    with pytest.raises(kind, match=says):
        sounddevice_module()


@pytest.mark.parametrize(
    ("block_frames", "buffer", "blocks"),
    [  # as counted on PulseAudio through PortAudio's ALSA
        (64, "high", 7),
        (128, "high", 4),
        (256, "high", 2),
        (512, "high", 2),
        (1024, "high", 1),
        (256, "low", 1),
        (256, 0.1, 5),
    ],
)
def test_blocks_that_alsa_calls_for_in_a_row(
    block_frames: int, buffer: str | float, blocks: int
) -> None:
    pulse = AudioDevice(
        0, "pulse", "ALSA", 32, 32, 44_100.0, True, True,
        DefaultBuffers(0.0087, 0.0348), DefaultBuffers(0.0087, 0.0348),
    )  # fmt: skip
    for direction in ("input", "output"):
        assert blocks == blocks_in_a_row(
            pulse,
            direction,  # type: ignore[arg-type]
            block_frames=block_frames,
            sample_rate_hz=48_000,
            buffer=buffer,
        )


@pytest.mark.parametrize(
    ("block_frames", "latency_frames", "blocks"),
    [
        (256, 256, 1),
        (256, 300, 1),  # 44 frames of converters, told by the user
        (64, 256, 4),
        (256, 1024, 4),
        (512, 256, 1),
        (256, 0, 1),
    ],
)
def test_jack_calls_for_a_whole_period(block_frames: int, latency_frames: int, blocks: int) -> None:
    buffer_s = latency_frames / 48_000
    jack = AudioDevice(
        0, "system", "JACK Audio Connection Kit", 2, 2, 48_000.0, True, True,
        DefaultBuffers(buffer_s, buffer_s), DefaultBuffers(2 * buffer_s, 2 * buffer_s),
    )  # fmt: skip
    assert blocks == blocks_in_a_row(
        jack, "output", block_frames=block_frames, sample_rate_hz=48_000, buffer=0.5
    )
