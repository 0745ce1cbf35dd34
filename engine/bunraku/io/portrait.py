"""A still picture under a camera that slowly pans and zooms: a face that moves, for demos."""

from __future__ import annotations

import math

import numpy as np

from bunraku.formats.picture_file import read_picture
from bunraku.io.paced_source import PacedSource
from bunraku.io.video_specs import PortraitSpec
from bunraku.packages import opencv
from bunraku.streaming.audio_block import NS_PER_S
from bunraku.streaming.video_frame import Pixels

ZOOM_ROUND_S, PAN_ROUND_S = 12.0, 8.0
CLOSEST_ZOOM = 1.25


class Portrait(PacedSource):
    """The camera fills the frame with the picture, cuts what is over, moves within it and never
    leaves it. Raises MediaError for what is no picture."""

    thread_name = "bunraku-portrait"

    def __init__(self, spec: PortraitSpec) -> None:
        super().__init__(spec.size, spec.rate_hz)
        self._cv2 = opencv("the portrait source")
        self._still = read_picture(str(spec.path))

    def picture(self, number: int, time_ns: int) -> Pixels:
        width, height = self.size
        still_height, still_width = self._still.shape[:2]
        since_s = (time_ns - self.started_ns) / NS_PER_S
        closer = 0.5 - 0.5 * math.cos(2.0 * math.pi * since_s / ZOOM_ROUND_S)
        zoom = 1.05 + (CLOSEST_ZOOM - 1.05) * closer
        scale = zoom * max(width / still_width, height / still_height)
        angle = 2.0 * math.pi * since_s / PAN_ROUND_S
        room_x = max(0.0, still_width * scale - width) / 2.0
        room_y = max(0.0, still_height * scale - height) / 2.0
        # The offset is at most the room there is, so no edge of the still comes into view; what is
        # over is cut below, for heads are above.
        x = -room_x + 0.6 * min(room_x, 0.08 * width) * math.sin(angle)
        y = -0.3 * room_y + 0.2 * min(room_y, 0.08 * height) * math.sin(2.0 * angle)
        move = np.array([[scale, 0.0, x], [0.0, scale, y]])
        pixels: Pixels = self._cv2.warpAffine(
            self._still,
            move,
            (width, height),
            flags=self._cv2.INTER_LINEAR,
            borderMode=self._cv2.BORDER_REPLICATE,
        )
        return pixels
