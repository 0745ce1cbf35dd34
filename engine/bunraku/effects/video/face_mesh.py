"""Which of MediaPipe's 478 face points are what (its canonical face model), and their hulls."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bunraku.effects.video.scene import Face
from bunraku.packages import opencv

OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152,
    148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
LIPS = (
    61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185,
)  # fmt: skip
RIGHT_EYE = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
LEFT_EYE = (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)
RIGHT_BROW = (70, 63, 105, 66, 107, 55, 65, 52, 53, 46)
LEFT_BROW = (300, 293, 334, 296, 336, 285, 295, 282, 283, 276)
FEATURES = (LIPS, RIGHT_EYE, LEFT_EYE, RIGHT_BROW, LEFT_BROW)
FOREHEAD = 10
RIGHT_EYE_CORNERS = (33, 133)
LEFT_EYE_CORNERS = (362, 263)
RIGHT_CHEEK, LEFT_CHEEK = 234, 454

Outline = npt.NDArray[np.float32]


def points_at(face: Face, indices: tuple[int, ...]) -> Outline:
    """float32 [points, 2], x and y in pixels."""
    chosen: Outline = face.landmarks[list(indices), :2]
    return chosen


def hull_of(face: Face) -> Outline:
    """The convex outline of all points of the face, float32 [points, 2] in pixels."""
    points = np.ascontiguousarray(face.landmarks[:, :2], np.float32)
    hull: Outline = opencv().convexHull(points).reshape(-1, 2)
    return hull


def grown(outline: Outline, factor: float) -> Outline:
    """Scaled about its middle."""
    middle = (outline.min(axis=0) + outline.max(axis=0)) / 2
    larger: Outline = (middle + (outline - middle) * np.float32(factor)).astype(np.float32)
    return larger


def bounds(outline: Outline, size: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """(left, top, right, bottom) in whole pixels within a picture of size (width, height); None
    where nothing of it lies inside."""
    width, height = size
    low, high = np.floor(outline.min(axis=0)), np.ceil(outline.max(axis=0)) + 1
    left, top = max(0, int(low[0])), max(0, int(low[1]))
    right, bottom = min(width, int(high[0])), min(height, int(high[1]))
    return (left, top, right, bottom) if left < right and top < bottom else None
