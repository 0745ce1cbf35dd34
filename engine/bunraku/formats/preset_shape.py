"""The keys of a chain preset and their ranges, as pydantic models: imported when one is read."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from bunraku.formats import limits

RateHz = Annotated[float, Field(ge=limits.MIN_SAMPLE_RATE_HZ, le=limits.MAX_SAMPLE_RATE_HZ)]


class Strict(BaseModel):
    """Unknown keys, other types, NaN and infinity are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class GainEffect(Strict):
    type: Literal["gain"]
    gain_db: float = Field(ge=limits.MIN_GAIN_DB, le=limits.MAX_GAIN_DB)


class ModelEffect(Strict):
    type: Literal["model"]
    file: str = Field(min_length=1, max_length=1000)
    size: float | None = Field(default=None, ge=0.0, le=1.0)


class MixEffect(Strict):
    type: Literal["mix"]
    wet: float = Field(ge=0.0, le=1.0)
    effect: list[Effect] = Field(default=[], max_length=limits.MAX_CHAIN_NODES)


class RateEffect(Strict):
    type: Literal["rate"]
    sample_rate_hz: RateHz
    effect: list[Effect] = Field(default=[], max_length=limits.MAX_CHAIN_NODES)


Effect = Annotated[GainEffect | ModelEffect | MixEffect | RateEffect, Field(discriminator="type")]


class Preset(Strict):
    name: str = Field(default="", max_length=limits.MAX_NAME_BYTES)
    sample_rate_hz: RateHz | None = None
    effect: list[Effect] = Field(default=[], max_length=limits.MAX_CHAIN_NODES)


for model in (MixEffect, RateEffect, Preset):
    model.model_rebuild()
