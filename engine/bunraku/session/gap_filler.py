"""Shows something for the frames that a lower quality left out: made from those on either side."""

from __future__ import annotations

from collections.abc import Iterator

from bunraku.effects.video.frame_interpolation import FrameInterpolator
from bunraku.streaming.video_frame import VideoFrame

MOST_FILLED = 3
"""A longer gap is a real one: an object has moved too far to guess its way."""


class GapFiller:
    """Finished frames in, the same with what is missing before each out. One thread."""

    def __init__(self, period_ns: int) -> None:
        self._period_ns = period_ns
        self._interpolator = FrameInterpolator()
        self._last: VideoFrame | None = None

    def fill(self, frame: VideoFrame) -> Iterator[tuple[VideoFrame, int]]:
        """(frame, how much later than now it is to be shown, in ns), in order; `frame` is last."""
        last, self._last = self._last, frame
        missing = 0 if last is None else frame.number - last.number - 1
        if last is None or not 0 < missing <= MOST_FILLED or last.size != frame.size:
            yield frame, 0
            return
        for k in range(missing):
            share = (k + 1) / (missing + 1)
            yield self._interpolator.between(last, frame, share), k * self._period_ns
        yield frame, missing * self._period_ns
