"""Anonymise: faces made unrecognisable, and what happens when one is not found: still hidden."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from bunraku.effects.video.compositing import hidden, mosaic
from bunraku.effects.video.face_mesh import Outline, bounds, grown, hull_of
from bunraku.effects.video.scene import Face, Scene
from bunraku.effects.video.video_effect import EffectSettings, VideoEffect
from bunraku.packages import opencv
from bunraku.streaming.video_frame import Pixels

GROWTH_PER_S = 1.5
"""Of a lost face's cover: it may have moved on, so after a second it is two and a half times as
large."""
SAME_FACE = 0.6
"""Middles nearer than this share of the larger box belong to one face."""


class AnonymiseSettings(EffectSettings):
    style: Literal["mosaic", "blur"] = Field(default="mosaic", description="how faces are hidden")
    cells: int = Field(default=7, ge=3, le=16, description="squares across a face: fewer hide more")
    margin: float = Field(
        default=0.35, ge=0.1, le=2.0, description="how far the cover reaches beyond the face"
    )
    hold_s: float = Field(
        default=1.0, ge=0.0, le=10.0, description="seconds a lost face stays covered, growing"
    )
    whole_frame_without_face: bool = Field(
        default=False, description="hide the whole picture while no face is found or held"
    )
    most_faces: int = Field(
        default=4, ge=1, le=8, description="faces looked for", json_schema_extra={"reopen": True}
    )


@dataclass(frozen=True, eq=False)
class Cover:
    """outline: float32 [points, 2] in pixels as last seen; seen_ns: when."""

    outline: Outline
    seen_ns: int


class Anonymise(VideoEffect):
    """A face that is lost after it was seen stays covered where it was, by a cover that grows, for
    `hold_s`. If the effect itself fails, the chain shows a mosaic of the whole picture."""

    name: ClassVar[str] = "anonymise"
    summary: ClassVar[str] = "faces as a mosaic or blurred"
    Settings: ClassVar[type[EffectSettings]] = AnonymiseSettings
    tiers: ClassVar[tuple[str, ...]] = ("full", "mosaic only")
    needs = frozenset({"faces"})

    _covers: tuple[Cover, ...] = ()
    _size = (0, 0)

    @property
    def max_faces(self) -> int:
        """What the face tracker is asked for."""
        return int(self.settings.most_faces)

    def process(self, pixels: Pixels, scene: Scene, tier: int) -> Pixels:
        now_ns = scene.frame.time_ns
        self._fit_to((pixels.shape[1], pixels.shape[0]))
        self._covers = self._update(scene.faces, now_ns)
        if not self._covers and self.settings.whole_frame_without_face:
            return hidden(pixels)
        blur = self.settings.style == "blur" and tier == 0
        for cover in self._covers:
            self._hide(pixels, self._outline(cover, now_ns), blur)
        return pixels

    def reset(self) -> None:
        self._covers = ()

    def conceal(self, pixels: Pixels) -> Pixels:
        return hidden(pixels)

    def _update(self, faces: tuple[Face, ...], now_ns: int) -> tuple[Cover, ...]:
        """Those seen now, and those lost not longer ago than `hold_s`."""
        seen = tuple(Cover(hull_of(face), now_ns) for face in faces)
        hold_ns = int(self.settings.hold_s * 1e9)
        lost = tuple(
            cover
            for cover in self._covers
            if 0 <= now_ns - cover.seen_ns <= hold_ns
            and not any(same_face(cover.outline, found.outline) for found in seen)
        )
        return seen + lost

    def _outline(self, cover: Cover, now_ns: int) -> Outline:
        lost_s = (now_ns - cover.seen_ns) / 1e9
        return grown(cover.outline, (1 + self.settings.margin) * (1 + GROWTH_PER_S * lost_s))

    def _fit_to(self, size: tuple[int, int]) -> None:
        """A camera that changes its size moves every cover along."""
        if size != self._size and self._covers:
            ratio: Outline = np.divide(size, self._size, dtype=np.float32)
            self._covers = tuple(Cover(c.outline * ratio, c.seen_ns) for c in self._covers)
        self._size = size

    def _hide(self, pixels: Pixels, outline: Outline, blur: bool) -> None:
        """In place."""
        cv2 = opencv()
        box = bounds(outline, (pixels.shape[1], pixels.shape[0]))
        if box is None:
            return
        left, top, right, bottom = box
        under = pixels[top:bottom, left:right]
        cover = mosaic(under, self.settings.cells)
        if blur:
            # Over the mosaic: what a blur alone leaves can be sharpened again, a mean cannot.
            side = max(3, min(under.shape[:2]) // self.settings.cells) | 1
            for _ in range(2):
                cover = cv2.blur(cover, (side, side))
        mask = np.zeros(under.shape[:2], np.uint8)
        corners = np.rint(outline - np.array([left, top], np.float32)).astype(np.int32)
        cv2.fillConvexPoly(mask, corners, 255)
        pixels[top:bottom, left:right] = cv2.copyTo(cover, mask, under.copy())


def same_face(one: Outline, other: Outline) -> bool:
    spans = [outline.max(axis=0) - outline.min(axis=0) for outline in (one, other)]
    middles = [(outline.max(axis=0) + outline.min(axis=0)) / 2 for outline in (one, other)]
    size = max(float(span.max()) for span in spans)
    return float(np.linalg.norm(middles[0] - middles[1])) < SAME_FACE * size
