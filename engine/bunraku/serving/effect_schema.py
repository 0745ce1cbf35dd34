"""What the page can build controls from: each effect with its settings, their ranges and texts."""

from __future__ import annotations

from typing import Any

from bunraku.effects.video.video_effect import VideoEffect, catalogue, path_settings
from bunraku.errors import UserInputError
from bunraku.session.control.setting_range import schemas
from bunraku.session.open_performance import BARE_NAME

KEPT = ("type", "minimum", "maximum", "enum", "default", "description", "reopen")


def effect_schemas() -> list[dict[str, Any]]:
    """One entry an effect: name, summary, tiers, settings. Those that cannot be opened without a
    file of one's own are left out: they come with presets."""
    return [schema_of(kind) for kind in catalogue().values() if not needs_file(kind)]


def schema_of(kind: type[VideoEffect]) -> dict[str, Any]:
    fields = schemas(kind)
    paths = path_settings(kind.name)
    return {
        "name": kind.name,
        "title": readable(kind.name),
        "summary": kind.summary,
        "tiers": list(kind.tiers),
        "settings": [control_of(name, fields[name]) for name in fields if name not in paths],
    }


def control_of(name: str, field: dict[str, Any]) -> dict[str, Any]:
    control = {key: field[key] for key in KEPT if key in field}
    if "enum" in control and isinstance(control.get("default"), str):
        control["enum"] = [value for value in control["enum"] if value != "file"]
    return {"name": name, "title": readable(name), **control}


def needs_file(kind: type[VideoEffect]) -> bool:
    fields = kind.Settings.model_fields
    return any(fields[name].is_required() for name in path_settings(kind.name))


def readable(name: str) -> str:
    words = name.replace("_", " ").removesuffix(" s")
    return words[:1].upper() + words[1:]


def visible_settings(effect: VideoEffect) -> dict[str, Any]:
    """Without the files: where they lie is nobody's business."""
    hidden = path_settings(effect.name)
    return {k: v for k, v in effect.settings.model_dump().items() if k not in hidden}


def visitor_settings(
    effect: str, settings: dict[str, Any], kept: VideoEffect | None
) -> dict[str, Any]:
    """What a visitor wants of an effect, with the files of the one it continues. Raises
    UserInputError for a file that a visitor names."""
    paths = path_settings(effect)
    for name in paths:
        value = settings.get(name)
        if value is not None and not (isinstance(value, str) and BARE_NAME.fullmatch(value)):
            raise UserInputError(
                f"{effect}: {name} cannot be set from the page; put the file into a preset"
            )
    if kept is None or kept.name != effect:
        return settings
    files = {k: v for k, v in kept.settings.model_dump(exclude_unset=True).items() if k in paths}
    return {**files, **settings}
