"""From what controllers send to what the desk does, as a preset's `[control]` has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bunraku.errors import UserInputError
from bunraku.formats.control_action import (
    NAME,
    VOICE,
    Action,
    ChoosePreset,
    Mute,
    Record,
    SetValue,
    Slide,
    StepPreset,
    Switch,
    SwitchEffect,
    Target,
    parse_action,
    parse_target,
)
from bunraku.io.midi import MidiEvent, MidiNoteOn
from bunraku.io.osc_datagram import OscEvent, OscValue

if TYPE_CHECKING:
    from bunraku.formats.control_shape import Control, Midi

DEFAULT_HOTKEYS = {
    **{str(number): f"preset {number}" for number in range(1, 10)},
    "right": "next preset",
    "left": "previous preset",
    "m": "mute toggle",
    "r": "record toggle",
    "q": "quit",
}
MOST_MIDI = 127


def hotkeys_of(control: Control) -> dict[str, Action]:
    """By key: the preset's own before the default ones."""
    default = DEFAULT_HOTKEYS if control.default_hotkeys else {}
    return {key: parse_action(text) for key, text in {**default, **control.hotkeys}.items()}


# ---- MIDI ---------------------------------------------------------------------------------------


def action_of_midi(midi: Midi, event: MidiEvent) -> Action | None:
    """None: the preset says nothing of it. The first entry that fits counts."""
    if isinstance(event, MidiNoteOn):
        for note in midi.note:
            if note.note == event.note and note.channel in (None, event.channel):
                return parse_action(note.action)
        return None
    for knob in midi.knob:
        if knob.control == event.control and knob.channel in (None, event.channel):
            return Slide(parse_target(knob.target), event.value / MOST_MIDI)
    return None


# ---- OSC ----------------------------------------------------------------------------------------


def action_of_osc(event: OscEvent) -> Action | None:
    """None: a button let go. Raises UserInputError for an address or values that mean nothing.

    /preset NAME, /preset/NAME, /preset/next, /preset/previous, /set/EFFECT/SETTING VALUE,
    /voice/PARAM VALUE, /slide/EFFECT/SETTING SHARE, /slide/voice/PARAM SHARE, /effect/NAME [0|1],
    /mute [0|1], /record [0|1]; without a value the last three toggle. A PARAM such as 0.gain_db may
    be written 0/gain_db, as OSC has it.
    """
    parts = event.address.strip("/").split("/")
    if not all(NAME.fullmatch(part) for part in parts):
        raise unknown(event)
    match parts:
        case ["preset"] if len(event.values) == 1:
            return ChoosePreset(preset_name(event))
        case ["preset", name]:
            return button(event, preset_action(name))
        case ["set", effect, setting]:
            return SetValue(Target(effect, setting), one_value(event))
        case ["voice", _, *_]:
            return SetValue(Target(VOICE, param_name(parts[1:])), one_number(event))
        case ["slide", "voice", _, *_]:
            return Slide(Target(VOICE, param_name(parts[2:])), share(event))
        case ["slide", effect, setting]:
            return Slide(Target(effect, setting), share(event))
        case ["effect", name]:
            return SwitchEffect(name, switch(event))
        case ["mute"]:
            return Mute(switch(event))
        case ["record"]:
            return Record(switch(event))
    raise unknown(event)


def param_name(parts: Sequence[str]) -> str:
    """As the model has it. Raises UserInputError for one that is too long for any."""
    name = ".".join(parts)
    if not NAME.fullmatch(name):
        raise UserInputError(f"/voice: '{name[:60]}' names no parameter: use one such as 0/gain_db")
    return name


def share(event: OscEvent) -> float:
    return min(1.0, max(0.0, one_number(event)))


def preset_action(name: str) -> Action:
    steps = {"next": 1, "previous": -1}
    return StepPreset(steps[name]) if name in steps else ChoosePreset(name)


def preset_name(event: OscEvent) -> str:
    value = event.values[0]
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    name = str(value)
    if isinstance(value, bool) or not NAME.fullmatch(name):
        raise UserInputError("/preset: the value is no preset's name: use 1 to 60 letters")
    return name


def button(event: OscEvent, action: Action) -> Action | None:
    """Pressed: no value, or another than 0."""
    return action if not event.values or event.values[0] else None


def switch(event: OscEvent) -> Switch:
    if not event.values:
        return "toggle"
    return "on" if one_number(event) > 0.5 else "off"


def one_value(event: OscEvent) -> OscValue:
    if len(event.values) != 1:
        raise UserInputError(f"{event.address} has {len(event.values)} values: send one")
    return event.values[0]


def one_number(event: OscEvent) -> float:
    value = one_value(event)
    if isinstance(value, str):
        raise UserInputError(f"{event.address}: the value is '{value[:60]}': send a number")
    return float(value)


def unknown(event: OscEvent) -> UserInputError:
    return UserInputError(
        f"the OSC address {event.address[:100]} is unknown: use /preset, /set/EFFECT/SETTING,"
        " /slide/EFFECT/SETTING, /voice/PARAM, /effect/NAME, /mute or /record"
    )
