"""The video effects of a running preset as a performer moves them: settings, on and off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bunraku.effects.catalogue import kind_named
from bunraku.effects.video.video_effect import VideoEffect, catalogue
from bunraku.errors import UserInputError
from bunraku.formats.control_action import MAX_VALUE_LENGTH, SettingValue, Switch
from bunraku.session.control.setting_range import as_declared, at_share, is_file, reopens, schema_of
from bunraku.session.open_performance import BARE_NAME, lowest_tiers, video_effects
from bunraku.session.video_session import VideoSession

if TYPE_CHECKING:
    from bunraku.formats.performance_shape import Effect


@dataclass(frozen=True)
class Slot:
    """An effect of the preset. name: as the preset's chain calls it, whichever others are off."""

    name: str
    effect: Effect
    on: bool = True

    @property
    def kind(self) -> type[VideoEffect]:
        return kind_named(catalogue(), self.effect.type)


class EffectRack:
    """One thread, but `slots` from any. What fails changes nothing.

    path: of the preset's file, in whose folder the files lie that its effects use.
    """

    def __init__(self, session: VideoSession, effects: Sequence[Effect], path: Path | None) -> None:
        self._session = session
        self._path = path
        self.slots = slots_of(effects)

    def exchange(self, effects: Sequence[Effect], path: Path | None) -> None:
        """The chain of another preset, opened beside the present one. Raises BunrakuError."""
        slots = slots_of(effects)
        self._install(slots, path)
        self.slots, self._path = slots, path

    def set(self, name: str, setting: str, value: SettingValue) -> None:
        """Raises UserInputError that names the range or what is at hand."""
        slot = self._slot(name)
        kind = slot.kind
        value = as_declared(kind, setting, value)
        if is_file(kind, setting) and self._path is None:
            check_bare(kind, setting, value)
        changed = replace(slot, effect=with_setting(slot.effect, setting, value))
        made = video_effects([changed.effect], self._path)[0]  # checks value and file
        slots = tuple(changed if other is slot else other for other in self.slots)
        if slot.on and reopens(kind, setting):
            self._install(slots, self._path)
        elif slot.on:
            self._session.change(
                self._chain_name(slot), **{setting: getattr(made.settings, setting)}
            )
        self.slots = slots

    def slide(self, name: str, setting: str, share: float) -> None:
        """share: 0 to 1 of the setting's range. Raises UserInputError."""
        self.set(name, setting, at_share(self._slot(name).kind, setting, share))

    def switch(self, name: str, to: Switch) -> bool:
        """Whether the effect is on now. Raises BunrakuError."""
        slot = self._slot(name)
        on = not slot.on if to == "toggle" else to == "on"
        if on != slot.on:
            changed = replace(slot, on=on)
            slots = tuple(changed if other is slot else other for other in self.slots)
            self._install(slots, self._path)
            self.slots = slots
        return on

    def _install(self, slots: Sequence[Slot], path: Path | None) -> None:
        effects = [slot.effect for slot in slots if slot.on]
        self._session.set_effects(video_effects(effects, path), lowest_tiers(effects))

    def _slot(self, name: str) -> Slot:
        """By its name; a controller may write "_" for its space."""
        for slot in self.slots:
            if name in (slot.name, slot.name.replace(" ", "_")):
                return slot
        names = ", ".join(slot.name for slot in self.slots) or "none"
        raise UserInputError(f"no effect here is named '{name[:60]}'; there are {names}")

    def _chain_name(self, slot: Slot) -> str:
        """As the running chain has it, which counts only those that are on."""
        on = [other for other in self.slots if other.on and other.effect.type == slot.effect.type]
        return numbered_name(slot.effect.type, on.index(slot) + 1)


def slots_of(effects: Sequence[Effect]) -> tuple[Slot, ...]:
    types = [effect.type for effect in effects]
    return tuple(
        Slot(numbered_name(effect.type, types[: index + 1].count(effect.type)), effect)
        for index, effect in enumerate(effects)
    )


def numbered_name(kind: str, number: int) -> str:
    return kind if number == 1 else f"{kind} {number}"


def with_setting(effect: Effect, setting: str, value: SettingValue) -> Effect:
    """The effect as a preset would have it that said so. Raises UserInputError."""
    kind = kind_named(catalogue(), effect.type)
    schema_of(kind, setting)  # also keeps `type` and `lowest_tier` from being set
    if isinstance(value, str) and len(value) > MAX_VALUE_LENGTH:
        raise UserInputError(
            f"{effect.type}.{setting} has {len(value)} characters: use at most {MAX_VALUE_LENGTH}"
        )
    fields: dict[str, Any] = {**effect.settings, setting: value}
    return type(effect)(type=effect.type, lowest_tier=effect.lowest_tier, **fields)


def check_bare(kind: type[VideoEffect], setting: str, value: SettingValue) -> None:
    if not isinstance(value, str) or not BARE_NAME.fullmatch(value):
        raise UserInputError(
            f"{kind.name}.{setting} may only be what comes along here, by its bare name: a preset"
            " in a file of its own may name files beside it"
        )
