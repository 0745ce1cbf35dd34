"""The overlays that come along, drawn rather than stored: premultiplied BGRA pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bunraku.packages import opencv
from bunraku.streaming.video_frame import Pixels

FINE = 2
"""Drawn at twice the size, then shrunk, for smooth edges."""


@dataclass(frozen=True)
class Placement:
    """Where the middle of a picture goes, from the anchor, in face widths: right, up, towards the
    camera; and the picture's width in face widths."""

    anchor: str
    offset: tuple[float, float, float]
    width: float


PLACEMENTS = {
    "glasses": Placement("eyes", (0.0, -0.05, 0.02), 1.02),
    "ears": Placement("forehead", (0.0, 0.30, -0.35), 1.45),
    "file": Placement("eyes", (0.0, 0.0, 0.0), 1.0),
}


def drawn(name: str) -> Pixels:
    """ "glasses" or "ears": uint8 [height, width, 4], premultiplied."""
    picture = {"glasses": _glasses, "ears": _ears}[name](opencv())
    height, width = picture.shape[:2]
    half = (width // FINE, height // FINE)
    return opencv().resize(premultiplied(picture), half, interpolation=opencv().INTER_AREA)  # type: ignore[no-any-return]


def premultiplied(picture: Pixels) -> Pixels:
    """Colours times alpha: such pictures can be scaled without dark or bright rims."""
    out = picture.copy()
    alpha = picture[..., 3:].astype(np.uint16)
    out[..., :3] = (picture[..., :3] * alpha + 127) // 255
    return out


def _glasses(cv2: Any) -> Pixels:
    """Round tortoiseshell frames, lenses with a breath of grey and a reflection."""
    picture = np.zeros((400, 1024, 4), np.uint8)
    rim, lens, shine = (30, 44, 74, 255), (70, 60, 50, 36), (255, 255, 255, 100)
    for middle in (268, 756):
        cv2.ellipse(picture, (middle, 200), (196, 168), 0, 0, 360, lens, -1, cv2.LINE_AA)
        cv2.ellipse(picture, (middle, 200), (150, 124), 0, 200, 245, shine, 18, cv2.LINE_AA)
        cv2.ellipse(picture, (middle, 200), (196, 168), 0, 0, 360, rim, 34, cv2.LINE_AA)
    cv2.ellipse(picture, (512, 190), (58, 44), 0, 180, 360, rim, 30, cv2.LINE_AA)
    cv2.line(picture, (4, 140), (84, 160), rim, 34, cv2.LINE_AA)
    cv2.line(picture, (1020, 140), (940, 160), rim, 34, cv2.LINE_AA)
    return picture


def _ears(cv2: Any) -> Pixels:
    """A cat's."""
    picture = np.zeros((480, 1024, 4), np.uint8)
    fur, rim, skin = (62, 66, 78, 255), (38, 40, 50, 255), (168, 150, 235, 255)
    outer = _curved([(70, 470), (40, 210), (110, 20), (260, 120), (400, 330)])
    inner = _curved([(120, 420), (100, 230), (130, 95), (235, 180), (320, 330)])
    for mirrored in (False, True):
        for outline, colour in ((outer, fur), (inner, skin)):
            points = outline.copy()
            if mirrored:
                points[:, 0] = 1023 - points[:, 0]
            cv2.fillPoly(picture, [points], colour, cv2.LINE_AA)
            if colour is fur:
                cv2.polylines(picture, [points], True, rim, 12, cv2.LINE_AA)
    return picture


def _curved(corners: list[tuple[int, int]]) -> npt.NDArray[np.int32]:
    """A closed line through `corners`, rounded (a Catmull-Rom spline)."""
    points = np.array(corners, np.float64)
    count = len(points)
    line = []
    for i in range(count):
        a, b, c, d = (points[(i + k - 1) % count] for k in range(4))
        for step in range(16):
            t = step / 16
            line.append(
                b + (c - a) * t / 2
                + (2 * a - 5 * b + 4 * c - d) * math.pow(t, 2) / 2
                + (3 * b - a - 3 * c + d) * math.pow(t, 3) / 2
            )  # fmt: skip
    return np.rint(line).astype(np.int32)
