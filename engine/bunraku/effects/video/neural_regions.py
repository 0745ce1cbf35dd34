"""Where a look shows: the whole frame, the person, or an oval over the largest face."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from bunraku.effects.video.scene import Face, Mask, Scene
from bunraku.packages import opencv
from bunraku.streaming.video_frame import Pixels

FACE_MARGIN = 1.45
"""Side of the square crop, in times of the face's longer side: hair and chin are in."""
CROP_MIN_PX = 32
CROP_STEP_PX = 16
"""Crops change their size in such steps, so that masks of one size serve many frames."""
OVAL_SOLID = 0.72
"""Share of the oval's radius within which the look shows in full."""


@dataclass(frozen=True)
class Region:
    """The part of the picture that the network gets, as slices, and how much of it shows."""

    rows: slice
    columns: slice
    mask: Mask


def whole(share: float) -> Mask:
    """A mask of one value."""
    return np.full((1, 1), share, np.float32)


def frame_region(pixels: Pixels, strength: float) -> Region:
    return Region(slice(0, pixels.shape[0]), slice(0, pixels.shape[1]), whole(strength))


def person_region(pixels: Pixels, scene: Scene, strength: float) -> Region:
    height, width = pixels.shape[:2]
    person = scene.person
    if person.shape != (height, width):
        person = np.asarray(opencv().resize(person, (width, height)), np.float32)
    return Region(slice(0, height), slice(0, width), np.clip(person * np.float32(strength), 0, 1))


def face_region(pixels: Pixels, scene: Scene, strength: float) -> Region | None:
    """A square around the largest face, within the picture; None without a face."""
    if not scene.faces:
        return None
    height, width = pixels.shape[:2]
    seen_height, seen_width = scene.frame.pixels.shape[:2]
    face = scene.faces[0]
    middle_x, middle_y, side_px = square_around(face, width / seen_width, height / seen_height)
    side = min(max(CROP_MIN_PX, round(side_px / CROP_STEP_PX) * CROP_STEP_PX), height, width)
    x = min(max(0, round(middle_x - side / 2)), width - side)
    y = min(max(0, round(middle_y - side / 2)), height - side)
    oval = soft_oval(side) * np.float32(strength)
    return Region(slice(y, y + side), slice(x, x + side), oval)


def square_around(face: Face, scale_x: float, scale_y: float) -> tuple[float, float, float]:
    """(middle x, middle y, side) in pixels of the picture."""
    left, top, width, height = face.box
    width, height = width * scale_x, height * scale_y
    middle = left * scale_x + width / 2, top * scale_y + height / 2
    return *middle, FACE_MARGIN * max(width, height)


@lru_cache(maxsize=16)
def soft_oval(side: int) -> Mask:
    """float32 [side, side]: 1 inside, falling to 0 at the edges, along a smooth step."""
    places = (np.arange(side, dtype=np.float32) + 0.5) / side * 2 - 1
    radius = np.hypot(places[None, :] / 0.85, places[:, None])
    inward = np.clip((1 - radius) / (1 - OVAL_SOLID), 0, 1)
    oval: Mask = (inward * inward * (3 - 2 * inward)).astype(np.float32)
    oval.setflags(write=False)
    return oval
