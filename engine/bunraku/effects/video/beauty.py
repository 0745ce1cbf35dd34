"""Beauty smoothing: calmer skin within the face, eyes, brows and lips as sharp as they were."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from bunraku.effects.video.face_mesh import FEATURES, OVAL, bounds, grown, points_at
from bunraku.effects.video.guided_filter import guided_coefficients
from bunraku.effects.video.scene import Face, Scene
from bunraku.effects.video.video_effect import EffectSettings, VideoEffect
from bunraku.packages import opencv
from bunraku.streaming.video_frame import Pixels

TIER_WIDTHS = (160, 80)
"""Widths in pixels that a face is shrunk to, if it is wider, for the smoothing."""
RADIUS_SHARE = 1 / 20
FEATURE_MARGIN = 1.15
CHROMA_TOLERANCE = 14.0
"""Steps of 255 that skin's chroma may differ from the face's median: hair and glasses do more."""

Plane = npt.NDArray[np.float32]


class BeautySettings(EffectSettings):
    strength: float = Field(default=0.6, ge=0.0, le=1.0, description="how much is smoothed")
    texture: float = Field(
        default=0.4, ge=0.0, le=1.0, description="how much of the finest texture stays"
    )


class Beauty(VideoEffect):
    """What the guided filter takes away is brought back to full size and subtracted where there is
    skin: everything finer than the shrunk face stays as it was."""

    name: ClassVar[str] = "beauty"
    summary: ClassVar[str] = "smoother skin, sharp eyes and lips"
    Settings: ClassVar[type[EffectSettings]] = BeautySettings
    tiers: ClassVar[tuple[str, ...]] = ("fine", "coarse")
    needs = frozenset({"faces"})

    def process(self, pixels: Pixels, scene: Scene, tier: int) -> Pixels:
        if self.settings.strength == 0:
            return pixels
        for face in scene.faces:
            self._smooth(pixels, face, TIER_WIDTHS[tier])
        return pixels

    def _smooth(self, pixels: Pixels, face: Face, most_width: int) -> None:
        """In place."""
        cv2 = opencv()
        box = bounds(points_at(face, OVAL), (pixels.shape[1], pixels.shape[0]))
        if box is None:
            return
        left, top, right, bottom = box
        whole = pixels[top:bottom, left:right]
        scale = min(1.0, most_width / (right - left))
        size = (max(8, round((right - left) * scale)), max(8, round((bottom - top) * scale)))
        small = cv2.resize(whole, size, interpolation=cv2.INTER_AREA)
        ratio = np.array([size[0] / (right - left), size[1] / (bottom - top)], np.float32)
        origin = np.array([left, top], np.float32)
        skin = skin_mask(small, face, origin, ratio) * np.float32(self.settings.strength)
        change = cv2.multiply(self._change(small), cv2.merge([skin] * 3))
        full = cv2.resize(change, (right - left, bottom - top))
        pixels[top:bottom, left:right] = cv2.add(whole, full, dtype=cv2.CV_8U)

    def _change(self, small: Pixels) -> Plane:
        """What to add to `small` so that it is smooth, in steps of 255."""
        cv2 = opencv()
        colours = small.astype(np.float32)
        radius = max(2, round(small.shape[1] * RADIUS_SHARE))
        epsilon = (4.0 + 16.0 * self.settings.strength) ** 2
        a, b = guided_coefficients(colours, colours, radius, epsilon)
        change: Plane = a * colours + b - colours
        coarse: Plane = cv2.boxFilter(change, -1, (3, 3))
        return change + np.float32(self.settings.texture) * (coarse - change)


def skin_mask(small: Pixels, face: Face, origin: Plane, ratio: Plane) -> Plane:
    """float32 [height, width], soft, 1 on skin; `small` is the frame from `origin` on, scaled."""
    cv2 = opencv()
    mask = np.zeros(small.shape[:2], np.uint8)
    cv2.fillPoly(mask, [_within(points_at(face, OVAL), origin, ratio)], 255)
    inside = mask > 0
    for feature in FEATURES:
        outline = cv2.convexHull(points_at(face, feature)).reshape(-1, 2)
        cv2.fillPoly(mask, [_within(grown(outline, FEATURE_MARGIN), origin, ratio)], 0)
    if not inside.any():
        return np.zeros(small.shape[:2], np.float32)
    chroma = cv2.cvtColor(small, cv2.COLOR_BGR2YCrCb)[..., 1:].astype(np.float32)
    away = np.abs(chroma - np.median(chroma[mask > 0] if mask.any() else chroma[inside], axis=0))
    alike = np.clip(2 - away.max(axis=2) / np.float32(CHROMA_TOLERANCE), 0, 1)
    side = max(3, small.shape[1] // 16) | 1
    soft = cv2.blur(mask, (side, side)).astype(np.float32)
    skin: Plane = alike * soft / np.float32(255)
    return skin


def _within(outline: Plane, origin: Plane, ratio: Plane) -> npt.NDArray[np.int32]:
    corners: npt.NDArray[np.int32] = np.rint((outline - origin) * ratio).astype(np.int32)
    return corners
