"""The video effects of a running preset as a performer moves them: order, settings, on and off."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bunraku.effects.catalogue import kind_named
from bunraku.effects.video.video_effect import VideoEffect, catalogue, path_settings
from bunraku.errors import UserInputError
from bunraku.formats.control_action import MAX_VALUE_LENGTH, PlacedEffect, SettingValue, Switch
from bunraku.session.control.setting_range import as_declared, at_share, is_file, reopens, schema_of
from bunraku.session.open_performance import BARE_NAME, lowest_tiers, video_effects
from bunraku.session.video_session import VideoSession

if TYPE_CHECKING:
    from bunraku.formats.performance_shape import Effect, Picture


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
        effects = [self._continued(one) for one in placed]
        slots = slots_of(effects, [one.on for one in placed])
        self._install(slots, self._path, self.budget_s)
        self.rearranged = True

    def _continued(self, placed: PlacedEffect) -> Effect:
        """As a preset would have it. A new one is like a preset's that says no more."""
        from bunraku.formats.performance_shape import Effect

        kept = self._slot(placed.kept).effect if placed.kept is not None else None
        if kept is None or kept.type != placed.type:
            return Effect(type=placed.type, **placed.settings)  # type: ignore[arg-type]
        files = {k: v for k, v in kept.settings.items() if k in path_settings(kept.type)}
        return Effect(
            type=kept.type,
            lowest_tier=kept.lowest_tier,
            **{**files, **placed.settings},
        )

    def _install(self, slots: tuple[Slot, ...], path: Path | None, budget_s: float) -> None:
        effects = self._on(slots)
        made = video_effects(effects, path)
        picture = self._picture()
        if picture is not None:
            picture.set_effects(made, lowest_tiers(effects), budget_s=budget_s)
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
        if is_file(kind, setting) and self._path is None:
            check_bare(kind, setting, value)
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


def slots_of(effects: Sequence[Effect], on: Sequence[bool] | None = None) -> tuple[Slot, ...]:
    types = [effect.type for effect in effects]
    return tuple(
        Slot(
            numbered_name(effect.type, types[: index + 1].count(effect.type)),
            effect,
            on is None or on[index],
        )
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
