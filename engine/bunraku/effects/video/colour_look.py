"""Colour looks: a film's colours by table, from a .cube file or one of two that come along."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from bunraku.effects.video.colour_table import ColourTable, Table
from bunraku.effects.video.cube_file import Cube, read_cube
from bunraku.effects.video.scene import Scene
from bunraku.effects.video.video_effect import EffectSettings, PresetPath, VideoEffect
from bunraku.errors import UserInputError
from bunraku.packages import opencv
from bunraku.streaming.video_frame import Pixels

BUILT_IN_SIZE = 33
TIER_BITS = (7, 5)
LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)


class ColourLookSettings(EffectSettings):
    look: Literal["golden", "cinema", "file"] = Field(
        default="golden",
        description="golden: late sun; cinema: teal shadows, warm skin; file: your .cube file",
        json_schema_extra={"reopen": True},
    )
    file: PresetPath | None = Field(
        default=None,
        description="a .cube file, for look = file",
        json_schema_extra={"path": True, "reopen": True},
    )
    strength: float = Field(default=1.0, ge=0.0, le=1.0, description="0 is the camera's own colour")


class ColourLook(VideoEffect):
    name: ClassVar[str] = "colour_look"
    summary: ClassVar[str] = "a film's colours, built in or from a .cube file"
    Settings: ClassVar[type[EffectSettings]] = ColourLookSettings
    tiers: ClassVar[tuple[str, ...]] = ("7 bits", "5 bits")

    _tables: tuple[ColourTable, ...] = ()

    def open(self) -> None:
        look = self._look()
        self._tables = tuple(ColourTable(look, bits) for bits in TIER_BITS)

    def process(self, pixels: Pixels, scene: Scene, tier: int) -> Pixels:
        strength = self.settings.strength
        if strength == 0:
            return pixels
        if not self._tables:
            self.open()
        graded = self._tables[tier].apply(pixels)
        if strength == 1:
            return graded
        mixed: Pixels = opencv().addWeighted(pixels, 1 - strength, graded, strength, 0)
        return mixed

    def close(self) -> None:
        self._tables = ()

    def _look(self) -> Cube:
        if self.settings.look != "file":
            return built_in(self.settings.look)
        if self.settings.file is None:
            raise UserInputError("colour_look: look is 'file' but file is missing: name a .cube")
        return read_cube(self.settings.file)


def built_in(name: str) -> Cube:
    """ "golden" or "cinema", from their formulas."""
    steps = np.linspace(0, 1, BUILT_IN_SIZE, dtype=np.float32)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")
    colours = np.stack([red, green, blue], axis=-1)
    shaded = {"golden": golden, "cinema": cinema}[name](colours)
    return Cube(np.clip(shaded, 0, 1).astype(np.float32))


def golden(colours: Table) -> Table:
    """Late sun: warm lights, lifted soft shadows."""
    luma = colours @ LUMA
    warm = colours * np.array([1.06, 1.0, 0.86], np.float32)
    lifted = np.array([0.030, 0.018, 0.012], np.float32) + warm * np.float32(0.965)
    grey = luma[..., None]
    full: Table = grey + (lifted - grey) * np.float32(1.08)
    return full


def cinema(colours: Table) -> Table:
    """Teal into the shadows, orange into the lights, more contrast around the middle."""
    curve = colours + np.float32(0.12) * np.sin(2 * np.pi * (colours - 0.5)) / np.float32(np.pi)
    luma = (colours @ LUMA)[..., None]
    shadows = (1 - luma) ** 2 * np.array([-0.050, 0.012, 0.045], np.float32)
    lights = luma * luma * np.array([0.045, 0.010, -0.050], np.float32)
    tinted: Table = luma + (curve - luma) * np.float32(0.92) + shadows + lights
    return tinted
