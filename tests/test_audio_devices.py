"""The choice of a device by name, number or default, and the words when there is none."""

from __future__ import annotations

import builtins
import sys

import pytest
from bunraku.errors import DeviceError, MissingDependencyError
from bunraku.io.audio_devices import (
    AudioDevice,
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
