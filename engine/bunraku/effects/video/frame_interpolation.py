"""Frames that were dropped, made from those before and after."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from bunraku.errors import UserInputError
from bunraku.packages import opencv
from bunraku.streaming.video_frame import Pixels, VideoFrame

FLOW_WIDTH = 320
"""Motion is sought in a picture this wide, however large the frame."""
CUT_DIFFERENCE = 40.0
"""Mean difference, of 255, of two frames brought together by the motion: more is another scene."""
OCCLUSION = 48.0

Flow = npt.NDArray[np.float32]


class FrameInterpolator:
    """Dense inverse search (Kroeger and others, "Fast Optical Flow using Dense Inverse Search",
    2016) between two frames. The motion of the newest pair is kept: several frames between the
    same two cost it once. Not for several threads at once."""

    def __init__(self) -> None:
        self._search: Any = None
        self._pair: tuple[VideoFrame, VideoFrame] | None = None
        self._flow: Flow | None = None

    def between(self, a: VideoFrame, b: VideoFrame, t: float) -> VideoFrame:
        """The frame at `t` of the way from `a` (0) to `b` (1), its time and number in between.

        Each half of what is shown comes from one frame, moved along the motion; where the two do
        not agree, something was uncovered, and the nearer frame alone is shown. Across a cut it is
        the nearer frame as it is. Raises UserInputError for t beyond 0 to 1 or unequal sizes.
        """
        if not 0 <= t <= 1:
            raise UserInputError(f"t is {t}: 0 is the first frame, 1 the second")
        if a.size != b.size:
            raise UserInputError(f"frames of {a.size} and {b.size}: give two of one size")
        pixels = a.pixels if t == 0 else b.pixels if t == 1 else self._mixed(a, b, t)
        time_ns = a.time_ns + round(t * (b.time_ns - a.time_ns))
        return VideoFrame(pixels, time_ns, a.number + round(t * (b.number - a.number)))

    def _mixed(self, a: VideoFrame, b: VideoFrame, t: float) -> Pixels:
        cv2 = opencv()
        flow = self._motion(a, b)
        nearer = a.pixels if t < 0.5 else b.pixels
        # The motion is that of a's points; taken for the middle's, as it is smooth.
        from_a = moved(a.pixels, flow, -t)
        from_b = moved(b.pixels, flow, 1 - t)
        apart = cv2.absdiff(from_a, from_b)
        if float(np.mean(apart[::4, ::4])) > CUT_DIFFERENCE:
            return nearer
        mixed: Pixels = cv2.addWeighted(from_a, 1 - t, from_b, t, 0)
        unlike = cv2.cvtColor(apart, cv2.COLOR_BGR2GRAY)
        torn = cv2.dilate(cv2.compare(unlike, OCCLUSION, cv2.CMP_GT), np.ones((3, 3), np.uint8))
        alone: Pixels = cv2.copyTo(from_a if t < 0.5 else from_b, torn, mixed)
        return alone

    def _motion(self, a: VideoFrame, b: VideoFrame) -> Flow:
        """float32 [height, width, 2] at the size of the frames, in pixels of them."""
        if self._flow is not None and self._pair is not None:
            first, second = self._pair
            if first is a and second is b:
                return self._flow
        cv2 = opencv()
        if self._search is None:
            self._search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        width, height = a.size
        scale = min(1.0, FLOW_WIDTH / width)
        size = (max(16, round(width * scale)), max(16, round(height * scale)))
        grey = [
            cv2.cvtColor(cv2.resize(frame.pixels, size), cv2.COLOR_BGR2GRAY) for frame in (a, b)
        ]
        flow = self._search.calc(grey[0], grey[1], None)
        flow = cv2.resize(flow, (width, height)) * np.array(
            [width / size[0], height / size[1]], np.float32
        )
        self._pair, self._flow = (a, b), flow
        return np.asarray(flow, np.float32)


def moved(pixels: Pixels, flow: Flow, share: float) -> Pixels:
    """Each place shows what lies `share` of `flow` further."""
    cv2 = opencv()
    height, width = pixels.shape[:2]
    places = flow * np.float32(share)
    places += grid(width, height)
    shown: Pixels = cv2.remap(
        pixels, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return shown


@lru_cache(maxsize=4)
def grid(width: int, height: int) -> Flow:
    """float32 [height, width, 2]: each place's own x and y."""
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return np.stack([x, y], axis=-1)
