"""What a setting of a video effect may be, read from the effect's own schema."""

from __future__ import annotations

from functools import cache
from typing import Any

from bunraku.effects.video.video_effect import VideoEffect
from bunraku.errors import UserInputError
from bunraku.formats.control_action import SettingValue


@cache
def schemas(kind: type[VideoEffect]) -> dict[str, dict[str, Any]]:
    """JSON schema of each setting by name."""
    properties: dict[str, dict[str, Any]] = kind.Settings.model_json_schema().get("properties", {})
    return properties


def schema_of(kind: type[VideoEffect], setting: str) -> dict[str, Any]:
    """Raises UserInputError that lists the settings at hand."""
    known = schemas(kind)
    if setting not in known:
        raise UserInputError(
            f"{kind.name} has no setting '{setting[:60]}'; its settings: {', '.join(known)}"
        )
    return known[setting]


def reopens(kind: type[VideoEffect], setting: str) -> bool:
    """Whether a change of it takes effect only when the effect is opened."""
    return schema_of(kind, setting).get("reopen") is True


def as_declared(kind: type[VideoEffect], setting: str, value: SettingValue) -> SettingValue:
    """Controllers know numbers alone: 5.0 for a whole number, 1 for true. Anything else goes
    through as it is, for the effect to check."""
    if isinstance(value, str | bool):
        return value
    declared = schema_of(kind, setting).get("type")
    if declared == "boolean" and value in (0, 1):
        return bool(value)
    if declared == "integer" and float(value).is_integer():
        return int(value)
    return value


def at_share(kind: type[VideoEffect], setting: str, share: float) -> SettingValue:
    """The value that lies at `share` (0 to 1) of the setting's range; of several words the one
    in whose part it lies. Raises UserInputError for a setting without a range."""
    schema = schema_of(kind, setting)
    share = min(1.0, max(0.0, share))
    if schema.get("type") == "boolean":
        return share >= 0.5
    if "enum" in schema:
        words = schema["enum"]
        word: SettingValue = words[min(int(share * len(words)), len(words) - 1)]
        return word
    if "minimum" not in schema or "maximum" not in schema:
        raise UserInputError(
            f"{kind.name}.{setting} has no range for a knob: set it by its value instead"
        )
    value = float(schema["minimum"] + share * (schema["maximum"] - schema["minimum"]))
    return round(value) if schema.get("type") == "integer" else value
