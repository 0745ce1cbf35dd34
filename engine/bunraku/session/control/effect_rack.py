"""The video effects of a running preset as a performer moves them: order, settings, on and off."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bunraku.effects.catalogue import kind_named
from bunraku.effects.video.video_effect import (
    VideoEffect,
    catalogue,
    is_bundled,
    path_settings,
)
from bunraku.errors import UserInputError
from bunraku.formats.control_action import MAX_VALUE_LENGTH, PlacedEffect, SettingValue, Switch
from bunraku.session.control.setting_range import as_declared, at_share, reopens, schema_of
from bunraku.session.open_performance import lowest_tiers, video_effects
from bunraku.session.video_session import VideoSession

if TYPE_CHECKING:
    from bunraku.formats.performance_shape import Effect, Picture


_keys = itertools.count(1)


@dataclass(frozen=True)
class Slot:
    """An effect of the preset. name: as the preset's chain calls it, whichever others are off. key:
    its own as long as it is in the rack, whatever its name becomes when others leave."""

    name: str
    effect: Effect
    on: bool = True
    key: int = field(default_factory=_keys.__next__)

    @property
    def kind(self) -> type[VideoEffect]:
        return kind_named(catalogue(), self.effect.type)


class EffectRack:
    """One thread, but the properties from any. What fails changes nothing.

    picture: whose chain it moves; while there is none the effects are kept for when one is opened.
    path: of the preset's file, in whose folder the files lie that its effects use.
    """

    def __init__(
        self, picture: Callable[[], VideoSession | None], preset: Picture, path: Path | None
    ) -> None:
        self._picture = picture
        self._path = path
        self.budget_s = budget_of(preset)
        self.slots = slots_of(preset.effect)
        self.rearranged = False

    # ---- what it holds --------------------------------------------------------------------------

    def effects(self) -> list[VideoEffect]:
        """Those that are on, fresh and not yet open."""
        return video_effects(self._on(self.slots), self._path)

    @property
    def lowest_tiers(self) -> dict[str, str]:
        return lowest_tiers(self._on(self.slots))

    def chain_name(self, slot: Slot) -> str | None:
        """As the running chain has it, which counts only those that are on; None: it is off."""
        on = [other for other in self.slots if other.on and other.effect.type == slot.effect.type]
        return numbered_name(slot.effect.type, on.index(slot) + 1) if slot in on else None

    # ---- the whole chain ------------------------------------------------------------------------

    def exchange(self, preset: Picture, path: Path | None) -> None:
        """The chain of another preset, opened beside the present one. Raises BunrakuError."""
        self._install(slots_of(preset.effect), path, budget_of(preset))
        self.rearranged = False

    def arrange(self, placed: Sequence[PlacedEffect]) -> None:
        """Another chain by hand. Raises BunrakuError."""
        kept = [self._kept(one) for one in placed]
        effects = [self._continued(one, slot) for one, slot in zip(placed, kept, strict=True)]
        slots = tuple(
            replace(slot, on=one.on, key=before.key)
            if before is not None
            else replace(slot, on=one.on)
            for slot, one, before in zip(slots_of(effects), placed, kept, strict=True)
        )
        self._install(slots, self._path, self.budget_s)
        self.rearranged = True

    def _kept(self, placed: PlacedEffect) -> Slot | None:
        if placed.kept is None:
            return None
        for slot in self.slots:
            if slot.key == placed.kept and slot.effect.type == placed.type:
                return slot
        raise UserInputError(f"the effect {placed.type[:60]} is no longer in the chain")

    def _continued(self, placed: PlacedEffect, before: Slot | None) -> Effect:
        """As a preset would have it. A new one is like a preset's that says no more."""
        from pydantic import ValidationError

        from bunraku.formats.performance_shape import Effect

        if self._path is None:
            check_bundled(placed.type, placed.settings)
        settings = dict(placed.settings)
        lowest_tier = None
        if before is not None:
            files = path_settings(before.effect.type)
            kept = {k: v for k, v in before.effect.settings.items() if k in files}
            settings, lowest_tier = {**kept, **settings}, before.effect.lowest_tier
        try:
            return Effect(type=placed.type, lowest_tier=lowest_tier, **settings)
        except ValidationError as error:
            raise UserInputError(f"{placed.type[:60]}: {error.errors()[0]['msg'][:200]}") from error

    def _install(self, slots: tuple[Slot, ...], path: Path | None, budget_s: float) -> None:
        effects = self._on(slots)
        made = video_effects(effects, path)
        picture = self._picture()
        if picture is not None:
            keys = {slot.key for slot in self.slots if slot.on}
            lighter = all(slot.key in keys for slot in slots if slot.on)
            picture.set_effects(made, lowest_tiers(effects), budget_s=budget_s, lighter=lighter)
        self.slots, self._path, self.budget_s = slots, path, budget_s

    @staticmethod
    def _on(slots: Sequence[Slot]) -> list[Effect]:
        return [slot.effect for slot in slots if slot.on]

    # ---- one effect -----------------------------------------------------------------------------

    def set(self, name: str, setting: str, value: SettingValue) -> None:
        """Raises UserInputError that names the range or what is at hand."""
        slot = self._slot(name)
        kind = slot.kind
        value = as_declared(kind, setting, value)
        if self._path is None:
            check_bundled(kind.name, {setting: value})
        changed = replace(slot, effect=with_setting(slot.effect, setting, value))
        made = video_effects([changed.effect], self._path)[0]  # checks value and file
        slots = tuple(changed if other is slot else other for other in self.slots)
        if slot.on and reopens(kind, setting):
            self._install(slots, self._path, self.budget_s)
            return
        picture, chain_name = self._picture(), self.chain_name(slot)
        if picture is not None and chain_name is not None:
            picture.change(chain_name, **{setting: getattr(made.settings, setting)})
        self.slots = slots

    def slide(self, name: str, setting: str, share: float) -> None:
        """share: 0 to 1 of the setting's range. Raises UserInputError."""
        self.set(name, setting, at_share(self._slot(name).kind, setting, share))

    def all_off(self) -> None:
        """While there is no picture: it is about to be opened without effects."""
        assert self._picture() is None, "a running chain is changed by `switch`"
        self.slots = tuple(replace(slot, on=False) for slot in self.slots)

    def switch(self, name: str, to: Switch) -> bool:
        """Whether the effect is on now. Raises BunrakuError."""
        slot = self._slot(name)
        on = not slot.on if to == "toggle" else to == "on"
        if on != slot.on:
            changed = replace(slot, on=on)
            slots = tuple(changed if other is slot else other for other in self.slots)
            self._install(slots, self._path, self.budget_s)
        return on

    def _slot(self, name: str) -> Slot:
        """By its name; a controller may write "_" for its space."""
        for slot in self.slots:
            if name in (slot.name, slot.name.replace(" ", "_")):
                return slot
        names = ", ".join(slot.name for slot in self.slots) or "none"
        raise UserInputError(f"no effect here is named '{name[:60]}'; there are {names}")


def budget_of(preset: Picture) -> float:
    return preset.latency_ms / 1e3


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


def check_bundled(effect: str, settings: Mapping[str, Any]) -> None:
    """Raises UserInputError for a file: what comes along with the effect is none."""
    for setting in path_settings(effect):
        value = settings.get(setting)
        if value is not None and not is_bundled(effect, setting, value):
            along = ", ".join(kind_named(catalogue(), effect).bundled(setting))
            may = f"may be {along} here" if along else "cannot be set here"
            raise UserInputError(
                f"{effect}: {setting} {may}: files come with presets, beside which they lie"
            )
