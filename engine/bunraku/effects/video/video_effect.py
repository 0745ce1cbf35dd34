"""The base class of video effects, their settings, and the catalogue of those at hand."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, Any, ClassVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from bunraku.effects.catalogue import kind_named, kinds_in
from bunraku.effects.video.scene import Scene
from bunraku.errors import UserInputError
from bunraku.formats.shape_error import worded
from bunraku.streaming.video_frame import Pixels

PresetPath = Annotated[
    str, Field(min_length=1, max_length=1000, json_schema_extra={"path": True, "reopen": True})
]
"""A file: in a preset relative to it and within its folder, made absolute before the effect. What
comes along with an effect is named by `VideoEffect.bundled` and reaches it by that name."""


class EffectSettings(BaseModel):
    """What a preset may say of an effect and a slider may move: fields with range, default and
    description. Unknown keys, other types, NaN and infinity are refused.

    A field with `json_schema_extra={"reopen": True}` takes effect when the effect is opened; all
    others may change from one frame to the next. A file is a `PresetPath`.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class VideoEffect(ABC):
    """One effect in one performance.

    A subclass sets `name` and is thereby in the catalogue once its file lies in this package.
    `tiers` are its qualities by name, dearest first: under load the scheduler lowers them.
    """

    name: ClassVar[str] = ""
    summary: ClassVar[str] = ""
    Settings: ClassVar[type[EffectSettings]] = EffectSettings
    tiers: ClassVar[tuple[str, ...]] = ("full",)
    needs: frozenset[str] = frozenset()
    """Of "person" and "faces", what it asks the scene for: opened before the first frame."""

    def __init__(self, settings: EffectSettings | None = None) -> None:
        self.settings: Any = settings if settings is not None else self.Settings()

    @classmethod
    def bundled(cls, setting: str) -> tuple[str, ...]:
        """What comes along for a setting that is a file, by the names it goes by: they mean that,
        whatever files are called so."""
        return ()

    def open(self) -> None:  # noqa: B027 - an effect without models has nothing to do
        """Load what takes long, before the first frame. Raises BunrakuError with the remedy."""

    @abstractmethod
    def process(self, pixels: Pixels, scene: Scene, tier: int) -> Pixels:
        """The picture after this effect: uint8 [height, width, 3] as `pixels`, which it may write
        to. `pixels` is the picture after the effects before it; `scene` is what is known of the
        camera's frame; `tier` indexes `tiers`."""

    @property
    def max_faces(self) -> int:
        """How many faces it can make use of."""
        return 1

    def conceal(self, pixels: Pixels) -> Pixels:
        """Shown in its place once it has failed; an effect that hides something hides all."""
        return pixels

    def change(self, **changes: Any) -> None:
        """Another value for some settings, from the next frame on. Raises UserInputError."""
        self.settings = checked_settings(
            type(self), {**self.settings.model_dump(exclude_unset=True), **changes}
        )

    def reset(self) -> None:  # noqa: B027 - as open
        """Forget earlier frames: the picture jumps, as after a cut."""

    def close(self) -> None:  # noqa: B027 - as open
        """Let go of models and memory. Idempotent."""


def catalogue() -> dict[str, type[VideoEffect]]:
    """Every effect in this package by its name."""
    return kinds_in("bunraku.effects.video", VideoEffect)  # type: ignore[type-abstract]


def make_effect(name: str, **settings: Any) -> VideoEffect:
    """A fresh effect of that name, not yet open. Raises UserInputError that names the setting and
    its range, or lists the names at hand."""
    kind = kind_named(catalogue(), name)
    return kind(checked_settings(kind, settings))


def path_settings(name: str) -> tuple[str, ...]:
    """Which settings of the effect of that name are files. Raises UserInputError."""
    fields = kind_named(catalogue(), name).Settings.model_fields
    return tuple(key for key, field in fields.items() if is_path(field))


def is_bundled(name: str, setting: str, value: object) -> bool:
    """Whether `value` means what comes along with the effect of that name, and no file."""
    return value in kind_named(catalogue(), name).bundled(setting)


def is_path(field: FieldInfo) -> bool:
    """Whether the field is a `PresetPath`, or one that may be left out."""
    marks = [field, *(mark for part in get_args(field.annotation) for mark in get_args(part)[1:])]
    extras = [getattr(mark, "json_schema_extra", None) for mark in marks]
    return any(isinstance(extra, dict) and extra.get("path") is True for extra in extras)


def checked_settings(kind: type[VideoEffect], settings: dict[str, Any]) -> EffectSettings:
    try:
        return kind.Settings.model_validate(settings)
    except ValidationError as error:
        raise UserInputError(worded(error, kind.Settings, kind.name, "setting")) from None
