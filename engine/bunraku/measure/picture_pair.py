"""Two moments of a recording side by side: the picture before and after its effects came in."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bunraku.errors import MediaError
from bunraku.io.video_reader import VideoReader
from bunraku.packages import opencv
from bunraku.streaming.video_frame import Pixels

GAP_PIXELS = 8


def save_picture_pair(recording: Path, picture: Path, first_s: float, second_s: float) -> None:
    """Write the frames shown at these seconds of `recording` beside each other. Raises MediaError
    where it is shorter."""
    reader = VideoReader(recording)
    found: list[Pixels] = []
    try:
        for time_s, frame in reader.frames():
            if time_s >= (first_s, second_s)[len(found)]:
                found.append(reader.pixels_of(frame))
            if len(found) == 2:
                break
    finally:
        reader.close()
    if len(found) < 2:
        raise MediaError(f"{recording} ends before {second_s:g} s; record longer")
    gap = np.full((found[0].shape[0], GAP_PIXELS, 3), 255, np.uint8)
    opencv("writing a picture").imwrite(str(picture), np.hstack([found[0], gap, found[1]]))
