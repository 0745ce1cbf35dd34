"""What a performer may ask of a running performance, as data, and the words a preset has for it.

    preset puppet | next preset | previous preset
    set background_blur.strength 0.7 | voice.0.gain_db -6
    mute on | record toggle | effect anonymise off | voice megaphone | quit

`on`, `off` or `toggle`; `record` also takes `start` and `stop`. Values are numbers, true, false, or
one word.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from bunraku.errors import UserInputError

Switch = Literal["on", "off", "toggle"]
SettingValue = str | int | float | bool

MAX_ACTION_LENGTH = 200
MAX_VALUE_LENGTH = 1000
NAME = re.compile(r"[\w .-]{1,60}", re.ASCII)
SWITCHES: dict[str, Switch] = {
    "on": "on",
    "off": "off",
    "toggle": "toggle",
    "start": "on",
    "stop": "off",
}
VOICE = "voice"
GRAMMAR = (
    "preset NAME, next preset, previous preset, set EFFECT.SETTING VALUE, voice.PARAM VALUE,"
    " mute on|off|toggle, record start|stop|toggle, effect NAME on|off|toggle, voice MODEL, quit"
)


@dataclass(frozen=True)
class ChoosePreset:
    """name: of the desk's list, or its number, from 1."""

    name: str


@dataclass(frozen=True)
class StepPreset:
    """step: how many further in the list, round its ends."""

    step: int


@dataclass(frozen=True)
class Target:
    """A setting of an effect by the chain's name for it, or a parameter of the voice's model:
    then `effect` is "voice"."""

    effect: str
    setting: str

    def __str__(self) -> str:
        return f"{self.effect}.{self.setting}"


@dataclass(frozen=True)
class SetValue:
    target: Target
    value: SettingValue


@dataclass(frozen=True)
class Slide:
    """share: 0 to 1 of the setting's own range, as a fader or a knob says it."""

    target: Target
    share: float


@dataclass(frozen=True)
class Mute:
    to: Switch


@dataclass(frozen=True)
class Record:
    to: Switch


@dataclass(frozen=True)
class SwitchEffect:
    effect: str
    to: Switch


@dataclass(frozen=True)
class ChooseVoice:
    """model: of the default pack, or the one that plays. effects: those written in Python that play
    after it; None: as they are."""

    model: str
    effects: tuple[str, ...] | None = None


@dataclass(frozen=True)
class PlacedEffect:
    """kept: the key of an effect in the rack that this one continues, with the files it uses and
    its lowest tier; None: a new one."""

    type: str
    settings: Mapping[str, SettingValue]
    kept: int | None = None
    on: bool = True


@dataclass(frozen=True)
class Arrange:
    """The whole chain of the picture anew."""

    effects: tuple[PlacedEffect, ...]


@dataclass(frozen=True)
class Quit:
    """End the performance."""


Action = (
    ChoosePreset
    | StepPreset
    | SetValue
    | Slide
    | Mute
    | Record
    | SwitchEffect
    | ChooseVoice
    | Arrange
    | Quit
)


def replaces(newer: Action, older: Action) -> bool:
    """Whether `older`, not yet begun, need not be done any more: a slider that moved on, or a
    preset that was passed over."""
    if isinstance(newer, ChoosePreset):
        return isinstance(older, ChoosePreset)
    if isinstance(newer, SetValue | Slide):
        return isinstance(older, SetValue | Slide) and newer.target == older.target
    return False


def described(action: Action) -> str:
    """For a message: what failed."""
    match action:
        case ChoosePreset(name):
            return f"preset {name}"
        case StepPreset(step):
            return "next preset" if step > 0 else "previous preset"
        case SetValue(target) | Slide(target):
            return str(target)
        case SwitchEffect(effect):
            return f"effect {effect}"
        case ChooseVoice(model):
            return f"voice {model}"
        case _:
            return type(action).__name__.lower()


def parse_action(text: str) -> Action:
    """Raises UserInputError that lists what may be said."""
    if len(text) > MAX_ACTION_LENGTH:
        raise UserInputError(
            f"an action has {len(text)} characters: at most {MAX_ACTION_LENGTH} are allowed"
        )
    word, _, rest = (text.strip()).partition(" ")
    rest = rest.strip()
    action = _parsed(word, rest)
    if action is None:
        raise UserInputError(f"the action '{text}' is unknown: use {GRAMMAR}")
    return action


def _parsed(word: str, rest: str) -> Action | None:
    if word == "quit" and not rest:
        return Quit()
    if word in ("next", "previous") and rest in ("", "preset"):
        return StepPreset(1 if word == "next" else -1)
    if word == "preset" and NAME.fullmatch(rest):
        return ChoosePreset(rest)
    if word in ("mute", "record") and rest in SWITCHES:
        return Mute(SWITCHES[rest]) if word == "mute" else Record(SWITCHES[rest])
    before, _, last = rest.rpartition(" ")
    if word == "effect" and NAME.fullmatch(before) and last in SWITCHES:
        return SwitchEffect(before.strip(), SWITCHES[last])
    if word == VOICE and NAME.fullmatch(rest):
        return ChooseVoice(rest)
    if word == "set" and before and "." in before:
        return SetValue(parse_target(before.strip()), parse_value(last))
    if word.startswith(f"{VOICE}.") and rest and " " not in rest:
        return SetValue(parse_target(word), parse_value(rest))
    return None


def parse_target(text: str) -> Target:
    """ "effect.setting", or "voice.param", whose param may have points of its own. Raises
    UserInputError."""
    effect, _, setting = text.partition(".")
    if not NAME.fullmatch(effect) or not NAME.fullmatch(setting):
        raise UserInputError(f"'{text[:60]}' names no setting: use EFFECT.SETTING or voice.PARAM")
    return Target(effect, setting)


def parse_value(text: str) -> SettingValue:
    """A number, true, false, or the word itself. Raises UserInputError for NaN and infinity."""
    if text in ("true", "false"):
        return text == "true"
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        return text
    return finite(number)


def finite(number: float) -> float:
    if not math.isfinite(number):
        raise UserInputError(f"a value is {number}: use a finite number")
    return number
