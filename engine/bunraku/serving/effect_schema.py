"""What the page can build controls from: each effect with its settings, their ranges and texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bunraku.effects.video.video_effect import VideoEffect, catalogue, path_settings
from bunraku.session.control.effect_rack import check_bundled
from bunraku.session.control.setting_range import schemas

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


def check_visitor_settings(effect: str, settings: Mapping[str, Any]) -> None:
    """Raises UserInputError for a file that a visitor names: only what comes along with the effect,
    by its name, may be."""
    check_bundled(effect, settings)
