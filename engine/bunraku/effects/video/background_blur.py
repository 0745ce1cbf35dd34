"""Background blur: the room out of focus, the person sharp, no halo around the person."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from bunraku.effects.video.compositing import blend, hidden
from bunraku.effects.video.scene import Mask, Scene
from bunraku.effects.video.video_effect import EffectSettings, VideoEffect
from bunraku.packages import opencv
from bunraku.streaming.video_frame import Pixels

LARGEST_SIGMA = 0.06
"""Of the frame's height."""
LINES = (240, 120, 60)
"""The height that each tier blurs at, or down to half of it."""
BOXES = 3
"""Box filters one after another: close to a Gaussian, at a cost that does not grow with it."""
ALMOST_NOTHING = 1e-3


class BackgroundBlurSettings(EffectSettings):
    strength: float = Field(default=0.5, ge=0.0, le=1.0, description="how far out of focus")


class BackgroundBlur(VideoEffect):
    """The person is left out before the background is blurred (a normalised convolution), so that
    none of the person's colour shines around the edge."""

    name: ClassVar[str] = "background_blur"
    summary: ClassVar[str] = "the room behind the person out of focus"
    Settings: ClassVar[type[EffectSettings]] = BackgroundBlurSettings
    tiers: ClassVar[tuple[str, ...]] = ("up to 240 lines", "up to 120 lines", "up to 60 lines")
    needs = frozenset({"person"})

    def process(self, pixels: Pixels, scene: Scene, tier: int) -> Pixels:
        strength = self.settings.strength
        if strength == 0:
            return pixels
        halvings = max(1, math.ceil(math.log2(pixels.shape[0] / LINES[tier]) - 0.01))
        sigma = strength * LARGEST_SIGMA * pixels.shape[0] / 2**halvings
        back = blurred_without(pixels, scene.person, halvings, sigma)
        return blend(pixels, back, scene.person)

    def conceal(self, pixels: Pixels) -> Pixels:
        return hidden(pixels)


def blurred_without(pixels: Pixels, person: Mask, halvings: int, sigma: float) -> Pixels:
    """All but the person, blurred at 1/2**halvings of the size; `sigma` in pixels of that size."""
    cv2 = opencv()
    height, width = pixels.shape[:2]
    small, mask = pixels, person
    for _ in range(halvings):  # two by two is many times faster than any other shrinking
        size = (max(1, small.shape[1] // 2), max(1, small.shape[0] // 2))
        small = cv2.resize(small, size, interpolation=cv2.INTER_AREA)
        mask = cv2.resize(mask, size, interpolation=cv2.INTER_AREA)
    # Pixels half covered by the person have its colour too: only what is nearly free counts.
    weight = np.maximum(1 - 2 * mask, 0, dtype=np.float32)
    weighted = cv2.multiply(small, cv2.merge([weight] * 3), dtype=cv2.CV_32F)
    colours = repeated_box(cv2, weighted, sigma)
    # Deep within the person there is no background at all; nothing of it is shown there.
    free = np.maximum(repeated_box(cv2, weight, sigma), np.float32(ALMOST_NOTHING))
    plain = cv2.divide(colours, cv2.merge([free] * 3), dtype=cv2.CV_8U)
    back: Pixels = cv2.resize(plain, (width, height))
    return back


def repeated_box(
    cv2: Any, planes: npt.NDArray[np.float32], sigma: float
) -> npt.NDArray[np.float32]:
    width = round(float(np.sqrt(12 * sigma * sigma / BOXES + 1))) | 1
    for _ in range(BOXES):
        planes = cv2.boxFilter(planes, -1, (width, width), borderType=cv2.BORDER_REFLECT)
    return planes
