"""Shows something for the frames that a lower quality left out: made from those on either side."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from bunraku.effects.video.frame_interpolation import FrameInterpolator
from bunraku.streaming.video_frame import VideoFrame

MOST_FILLED = 3
"""A longer gap is a real one: an object has moved too far to guess its way."""
RUNS = 4
MOVED_SHARE = 50
"""The pictures of the measurement are a fiftieth of their width apart."""


class GapFiller:
    """Finished frames in, the same with what is missing before each out. One thread."""

    def __init__(self, period_ns: int) -> None:
        self._period_ns = period_ns
        self._interpolator = FrameInterpolator()
        self._last: VideoFrame | None = None

    def fill(self, frame: VideoFrame, wanted: bool = True) -> Iterator[tuple[VideoFrame, int]]:
        """(frame, how much later than now it is to be shown, in ns), in order; `frame` is last. Not
        wanted: it comes alone and at once."""
        last, self._last = self._last, frame
        missing = 0 if last is None else frame.number - last.number - 1
        fits = last is not None and last.size == frame.size
        if last is None or not (wanted and fits and 0 < missing <= MOST_FILLED):
            yield frame, 0
            return
        for k in range(missing):
            made = self._interpolator.between(last, frame, (k + 1) / (missing + 1))
            yield replace(made, interpolated=True), k * self._period_ns
        yield frame, missing * self._period_ns


def filling_costs_ns(frame: VideoFrame) -> dict[int, int]:
    """By the number of frames that are missing, 1 to MOST_FILLED: what it costs to make all of them
    up, in nanoseconds, measured with two pictures like `frame`."""
    moved = np.roll(frame.pixels, frame.size[0] // MOVED_SHARE, axis=1)
    filler, number = GapFiller(0), 0
    costs_ns = {}
    for missing in range(1, MOST_FILLED + 1):
        runs_ns = []
        for run in range(RUNS):
            number += missing + 1
            newest = VideoFrame(moved if run % 2 else frame.pixels, 0, number)
            began_ns = time.perf_counter_ns()
            for _ in filler.fill(newest):
                pass
            runs_ns.append(time.perf_counter_ns() - began_ns)
        costs_ns[missing] = round(statistics.median(runs_ns[1:]))  # the first warms caches
    return costs_ns
