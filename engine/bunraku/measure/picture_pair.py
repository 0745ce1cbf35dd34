"""A picture before and after its effects, side by side."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bunraku.errors import MediaError
from bunraku.io.video_reader import VideoReader
from bunraku.io.video_source import VideoSink
from bunraku.packages import opencv
from bunraku.streaming.video_frame import Pixels, VideoFrame

GAP_PIXELS = 8


class NewestFrame(VideoSink):
    """Keeps the frame that was handed over last."""

    def __init__(self) -> None:
        self.frame: VideoFrame | None = None
        self.error = None
        self.shown = self.dropped = 0

    def start(self) -> None:
        return

    def show(self, frame: VideoFrame) -> None:
        self.frame = frame
        self.shown += 1

    def stop(self) -> None:
        return


def save_picture_pair(before: Pixels, recording: Path, picture: Path) -> None:
    """Write `before` and the last frame of `recording` beside each other. Raises MediaError where
    there is none, or one of another size."""
    reader = VideoReader(recording)
    try:
        *_, (_, last) = reader.frames()
        after = reader.pixels_of(last)
    finally:
        reader.close()
    if after.shape != before.shape:
        raise MediaError(f"{recording} has no picture of this size; record longer")
    gap = np.full((before.shape[0], GAP_PIXELS, 3), 255, np.uint8)
    opencv("writing a picture").imwrite(str(picture), np.hstack([before, gap, after]))
