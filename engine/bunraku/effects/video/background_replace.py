"""Background replacement: a picture of yours behind the person."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from bunraku.effects.video.compositing import blend, covering, cut, hidden, moved_edge
from bunraku.effects.video.scene import Scene
from bunraku.effects.video.video_effect import EffectSettings, PresetPath, VideoEffect
from bunraku.formats.picture_file import read_picture
from bunraku.streaming.video_frame import Pixels


class BackgroundReplaceSettings(EffectSettings):
    picture: PresetPath = Field(
        description="PNG or JPEG file; fills the frame, what stands over is cut off",
        json_schema_extra={"path": True, "reopen": True},
    )
    edge: float = Field(
        default=-0.2, ge=-1.0, le=1.0, description="the person's outline inwards or outwards"
    )
    dim: float = Field(default=0.0, ge=0.0, le=1.0, description="how much darker the picture")


class BackgroundReplace(VideoEffect):
    name: ClassVar[str] = "background_replace"
    summary: ClassVar[str] = "a picture behind the person"
    Settings: ClassVar[type[EffectSettings]] = BackgroundReplaceSettings
    tiers: ClassVar[tuple[str, ...]] = ("soft edge", "hard edge")
    needs = frozenset({"person"})

    _picture: Pixels | None = None
    _fitted: Pixels | None = None
    _dim = 0.0

    def open(self) -> None:
        self._picture = read_picture(self.settings.picture)
        self._fitted = None

    def process(self, pixels: Pixels, scene: Scene, tier: int) -> Pixels:
        back = self._back(pixels)
        put = blend if tier == 0 else cut
        return put(pixels, back, moved_edge(scene.person, self.settings.edge))

    def close(self) -> None:
        self._picture = self._fitted = None

    def conceal(self, pixels: Pixels) -> Pixels:
        return hidden(pixels)

    def _back(self, pixels: Pixels) -> Pixels:
        """The picture at the frame's size, made anew only when that or `dim` changes."""
        dim = self.settings.dim
        if self._fitted is None or self._fitted.shape != pixels.shape or self._dim != dim:
            if self._picture is None:
                self.open()
            assert self._picture is not None
            fitted = covering(self._picture, pixels.shape[1], pixels.shape[0])
            self._fitted = np.multiply(fitted, 1 - dim).astype(np.uint8) if dim else fitted
            self._dim = dim
        return self._fitted
