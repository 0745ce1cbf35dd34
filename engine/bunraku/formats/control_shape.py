"""The `[control]` table of a performance preset: what moves it while it plays.

[control]
hotkeys = { b = "effect background_blur toggle" }

[control.osc]
port = 9000

[control.midi]
port = "nanoKONTROL"
note = [{ note = 36, action = "preset puppet" }]
knob = [{ control = 21, target = "background_blur.strength" }]
"""

from __future__ import annotations

import ipaddress
from typing import Annotated

from pydantic import AfterValidator, Field

from bunraku.formats.control_action import MAX_ACTION_LENGTH, parse_action, parse_target
from bunraku.formats.preset_shape import Strict

MAX_HOTKEYS = 64
MAX_SENDERS = 8
NAMED_KEYS = ("space", "left", "right", "up", "down")


def _action(text: str) -> str:
    parse_action(text)
    return text


def _target(text: str) -> str:
    parse_target(text)
    return text


def _key(text: str) -> str:
    if text not in NAMED_KEYS and not (len(text) == 1 and text.isprintable() and text != " "):
        raise ValueError(f"a key is one printable character or one of {', '.join(NAMED_KEYS)}")
    return text


def _private_address(text: str) -> str:
    address = ipaddress.IPv4Address(text)
    if not address.is_private or address.is_unspecified:
        raise ValueError("only an address of your own network, such as 192.168.1.20")
    return text


ActionText = Annotated[
    str, Field(min_length=1, max_length=MAX_ACTION_LENGTH), AfterValidator(_action)
]
TargetText = Annotated[str, Field(min_length=3, max_length=121), AfterValidator(_target)]
Key = Annotated[str, Field(min_length=1, max_length=8), AfterValidator(_key)]
Address = Annotated[str, Field(min_length=7, max_length=15), AfterValidator(_private_address)]
Channel = Annotated[int, Field(ge=1, le=16)]
MidiNumber = Annotated[int, Field(ge=0, le=127)]


class Osc(Strict):
    """port: UDP. senders: addresses of this network that may send besides this machine; none:
    the port is open to this machine alone."""

    port: int = Field(default=9000, ge=1024, le=65535)
    senders: list[Address] = Field(default=[], max_length=MAX_SENDERS)


class MidiNote(Strict):
    """A pad or key that does `action` when struck. channel: any if left out."""

    note: MidiNumber
    channel: Channel | None = None
    action: ActionText


class MidiKnob(Strict):
    """A knob or fader (control change) whose 0 to 127 spans the target's range."""

    control: MidiNumber
    channel: Channel | None = None
    target: TargetText


class Midi(Strict):
    """port: a part of the device's name."""

    port: str = Field(min_length=1, max_length=100)
    note: list[MidiNote] = Field(default=[], max_length=128)
    knob: list[MidiKnob] = Field(default=[], max_length=128)


class Control(Strict):
    """hotkeys: keys of the terminal, beside the default ones unless `default_hotkeys` is false."""

    osc: Osc | None = None
    midi: Midi | None = None
    hotkeys: dict[Key, ActionText] = Field(default={}, max_length=MAX_HOTKEYS)
    default_hotkeys: bool = True
