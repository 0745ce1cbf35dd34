"""The keys of a performance preset and their ranges, as pydantic models: imported when one is read.

What an effect's own settings may be is the effect's to check; here they are bounded.
"""

from __future__ import annotations

import posixpath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from bunraku.formats import limits
from bunraku.formats.control_shape import Control
from bunraku.formats.preset_shape import Strict

Text = Annotated[str, Field(min_length=1, max_length=1000)]
Pixels = Annotated[int, Field(ge=16, le=4096)]
FrameRateHz = Annotated[float, Field(ge=1.0, le=240.0)]
MAX_EFFECTS = 16
MAX_SETTINGS = 32
MAX_SINKS = 8


class Device(Strict):
    """A microphone or speakers by a fragment of the name or by number; the default if left out."""

    type: Literal["device"]
    name: str | int | None = None


class AudioFile(Strict):
    type: Literal["file"]
    file: Text
    loop: bool = False


class PictureSound(Strict):
    """The sound of the file that the picture comes from, in step with it."""

    type: Literal["picture"]


class NoSink(Strict):
    """Nothing is heard: the voice is only recorded or sent to a browser."""

    type: Literal["none"]


class VirtualMicrophone(Strict):
    """A microphone that other programs can choose."""

    type: Literal["virtual_microphone"]
    name: str = Field(
        default="bunraku",
        min_length=1,
        max_length=60,
        pattern=r"^[\w .-]+$",
        description="letters, digits, space, '.' and '-'",
    )


class Voice(Strict):
    """model: a name of the default pack, or a file beside the preset."""

    model: Text = "radio"
    source: Annotated[Device | AudioFile | PictureSound, Field(discriminator="type")] = Device(
        type="device"
    )
    sink: Annotated[Device | VirtualMicrophone | NoSink, Field(discriminator="type")] = Device(
        type="device"
    )
    block_frames: int = Field(default=256, ge=1, le=8192)
    sample_rate_hz: int | None = Field(default=None, ge=8_000, le=384_000)
    channels: int = Field(default=1, ge=1, le=8)
    size: float = Field(default=1.0, ge=0.0, le=1.0)
    effects: list[Text] = Field(default=[], max_length=MAX_EFFECTS)


class Camera(Strict):
    type: Literal["camera"]
    name: str | int = 0
    width: Pixels = 640
    height: Pixels = 480
    rate_hz: FrameRateHz = 30.0
    format: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9]{4}$",
        description="four letters or digits, such as MJPG",
    )


class VideoFile(Strict):
    type: Literal["file"]
    file: Text
    loop: bool = False


class BuiltInPicture(Strict):
    """A moving pattern with a time code, or the bundled portrait under a moving camera."""

    type: Literal["test"]
    picture: Literal["pattern", "portrait"] = "pattern"
    width: Pixels = 640
    height: Pixels = 480
    rate_hz: FrameRateHz = 30.0


PictureSource = Camera | VideoFile | BuiltInPicture
Setting = str | int | float | bool


class Effect(BaseModel):
    """`type` names the effect; other keys are its settings. lowest_tier: how far it may be lowered
    under load, by the name of the tier."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, allow_inf_nan=False)
    type: Text
    lowest_tier: str | None = Field(default=None, max_length=60)

    @property
    def settings(self) -> dict[str, Setting]:
        return dict(self.__pydantic_extra__ or {})

    @model_validator(mode="after")
    def _bounded(self) -> Effect:
        if len(self.settings) > MAX_SETTINGS:
            raise ValueError(f"more than {MAX_SETTINGS} settings")
        for key, value in self.settings.items():
            _check_setting(key, value)
        return self


def _check_setting(key: str, value: Any) -> None:
    if not isinstance(value, str | int | float | bool):
        raise ValueError(f"{key} is neither text, a number, nor true or false")
    if isinstance(value, str) and len(value) > 1000:
        raise ValueError(f"{key} has over 1000 characters")


class Window(Strict):
    type: Literal["window"]


class VirtualCamera(Strict):
    type: Literal["virtual_camera"]


class Recording(Strict):
    """An MP4 with picture and voice in step. file: within the folder the command was started from;
    links that lead out of it are found when it is opened."""

    type: Literal["file"]
    file: Text

    @field_validator("file")
    @classmethod
    def _within_the_folder(cls, file: str) -> str:
        relative = posixpath.normpath(file.replace("\\", "/"))
        first = relative.split("/")[0]
        if "\0" in file or posixpath.isabs(relative) or ":" in first or first == "..":
            raise ValueError("must be a relative path within the folder you start from")
        return file


Sink = Annotated[Window | VirtualCamera | Recording, Field(discriminator="type")]


class Picture(Strict):
    """latency_ms: how late a frame may be shown after its capture before it counts as late."""

    source: Annotated[PictureSource, Field(discriminator="type")] = Camera(type="camera")
    effect: list[Effect] = Field(default=[], max_length=MAX_EFFECTS)
    latency_ms: float = Field(default=66.0, ge=5.0, le=1000.0)
    interpolate: bool = False


class PerformancePreset(Strict):
    name: str = Field(default="", max_length=limits.MAX_NAME_BYTES)
    voice: Voice | None = None
    picture: Picture | None = None
    sink: list[Sink] = Field(default=[], max_length=MAX_SINKS)
    control: Control = Control()

    @model_validator(mode="after")
    def _has_something(self) -> PerformancePreset:
        if self.voice is None and self.picture is None:
            raise ValueError("a performance has [voice], [picture], or both")
        wants_sound = self.voice is not None and self.voice.source.type == "picture"
        if wants_sound and (self.picture is None or self.picture.source.type != "file"):
            raise ValueError('voice.source is "picture", and the picture comes from no file')
        return self
