"""What the page may say, as pydantic models: JSON texts of one WebSocket, each with its `type`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from bunraku.errors import UserInputError
from bunraku.serving import limits

Name = Annotated[str, Field(min_length=1, max_length=120)]
Number = Annotated[int, Field(ge=-(1 << 53), le=1 << 53)]
Key = Annotated[int, Field(ge=0, le=1 << 53)]
"""Of an effect, as long as it is in the chain, whatever else comes and goes."""
Setting = Annotated[str, Field(max_length=1000)] | bool | Number | float
Settings = Annotated[dict[Name, Setting], Field(max_length=limits.MOST_SETTINGS)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Offer(Strict):
    """A WebRTC offer with the camera's picture, and how large that is."""

    type: Literal["offer"]
    sdp: str = Field(min_length=1, max_length=limits.MOST_SDP_BYTES)
    width: int = Field(ge=limits.LEAST_SIDE, le=limits.MOST_WIDTH)
    height: int = Field(ge=limits.LEAST_SIDE, le=limits.MOST_HEIGHT)
    rate_hz: float = Field(ge=1.0, le=limits.MOST_FRAME_RATE_HZ)


class HangUp(Strict):
    """No more picture from this browser; the voice goes on."""

    type: Literal["hang_up"]


class WantedEffect(Strict):
    """kept: the key of an effect in the chain that this one continues; what the page may not know
    of it, such as files, is taken from there."""

    effect: Name
    settings: Settings = {}
    kept: Key | None = None
    on: bool = True


class SetEffects(Strict):
    """The whole chain of the picture anew. tag: given back in the state that follows, so that a
    page knows which of its wishes the server has seen."""

    type: Literal["set_effects"]
    tag: int = Field(default=0, ge=0, le=1 << 53)
    effects: list[WantedEffect] = Field(max_length=limits.MOST_EFFECTS)


class ChangeEffect(Strict):
    """Some settings of one effect, from the next frame on."""

    type: Literal["change_effect"]
    key: Key
    settings: Settings


class SetVoice(Strict):
    """model: of the default pack, or the preset's. effects: written in Python, after it."""

    type: Literal["set_voice"]
    model: Name
    effects: list[Name] = Field(default=[], max_length=limits.MOST_EFFECTS)


class ChoosePreset(Strict):
    """tag: as SetEffects has it, for a preset brings a chain."""

    type: Literal["choose_preset"]
    name: Name
    tag: int = Field(default=0, ge=0, le=1 << 53)


class Mute(Strict):
    type: Literal["mute"]
    on: bool


class Record(Strict):
    type: Literal["record"]
    on: bool


class Ping(Strict):
    """What the browser's clock shows, in ms since the epoch: capture times count by it. Answered
    with the same number, for the page to time the way."""

    type: Literal["ping"]
    browser_ms: float = Field(ge=0.0, le=1e13)


AnyMessage = (
    Offer | HangUp | SetEffects | ChangeEffect | SetVoice | ChoosePreset | Mute | Record | Ping
)
_CONTROL: TypeAdapter[AnyMessage] = TypeAdapter(Annotated[AnyMessage, Field(discriminator="type")])


def read_control(text: str) -> AnyMessage:
    """Raises UserInputError that names the place, not the whole of what was sent."""
    try:
        return _CONTROL.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])[:200] or "the message"
        raise UserInputError(f"{place}: {first['msg'][:300]}; see docs/serve.md") from None
