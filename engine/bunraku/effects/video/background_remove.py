"""Background removal: one colour behind the person, for a chroma key further on."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from bunraku.effects.video.compositing import blend, cut, hidden, moved_edge
from bunraku.effects.video.scene import Scene
from bunraku.effects.video.video_effect import EffectSettings, VideoEffect
from bunraku.streaming.video_frame import Pixels


class BackgroundRemoveSettings(EffectSettings):
    red: int = Field(default=0, ge=0, le=255, description="of the colour behind the person")
    green: int = Field(default=255, ge=0, le=255, description="of the colour behind the person")
    blue: int = Field(default=0, ge=0, le=255, description="of the colour behind the person")
    edge: float = Field(
        default=-0.2, ge=-1.0, le=1.0, description="the person's outline inwards or outwards"
    )


class BackgroundRemove(VideoEffect):
    name: ClassVar[str] = "background_remove"
    summary: ClassVar[str] = "one colour behind the person: green for a chroma key"
    Settings: ClassVar[type[EffectSettings]] = BackgroundRemoveSettings
    tiers: ClassVar[tuple[str, ...]] = ("soft edge", "hard edge")
    needs = frozenset({"person"})

    _colour = (-1, -1, -1)
    _filled: Pixels | None = None

    def process(self, pixels: Pixels, scene: Scene, tier: int) -> Pixels:
        put = blend if tier == 0 else cut
        return put(pixels, self._back(pixels), moved_edge(scene.person, self.settings.edge))

    def conceal(self, pixels: Pixels) -> Pixels:
        return hidden(pixels)

    def _back(self, pixels: Pixels) -> Pixels:
        """The colour all over, filled anew only when it or the frame's size changes."""
        said = self.settings
        colour = (said.blue, said.green, said.red)
        if self._filled is None or self._filled.shape != pixels.shape or self._colour != colour:
            self._filled = np.full(pixels.shape, colour, np.uint8)
            self._colour = colour
        return self._filled
