"""Who is in the picture: a mask whose edge follows the picture and does not flicker.

MediaPipe's selfie segmenter sees 256x256 and answers with a soft, wobbling edge. Its answer is
smoothed over time where the picture stands still, and brought to the frame's size by a guided
filter, whose edges are those of the frame.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bunraku.effects.video.guided_filter import guided_coefficients
from bunraku.effects.video.mediapipe_task import RisingMilliseconds, as_image, open_task
from bunraku.effects.video.scene import Mask
from bunraku.packages import opencv
from bunraku.streaming.video_frame import Pixels, VideoFrame
from bunraku.weights.fetched import SELFIE_SEGMENTER

MODEL_SIZE = (256, 256)
MOST_SQUEEZED = 1.5
"""A frame of 4:3 may be squeezed into the model's square. In one of 16:9 the model takes what is
light beside a neck for shoulders, so wider and taller ones keep their proportions."""
FILTER_SHRINK = 2
"""The guided filter's coefficients vary slowly: half the model's size shows the same edge."""
GUIDE_RADIUS = 2
GUIDE_EPSILON = 1e-3
CALM_SHARE = 0.25
"""Of a new mask, where nothing moves: a time constant of about 3.5 frames."""
NOISE_LEVEL = 0.015
MOTION_GAIN = 12.0
CHANGE_FLOOR = 0.35
CHANGE_GAIN = 3.0
SURE_LOW, SURE_HIGH = 0.15, 0.65
"""The model's doubt within clothes and hair lies above; what is behind the person, below."""
EDGE_LOW, EDGE_HIGH = 0.15, 0.85
"""The filtered mask is stretched between these: it ends in 0 and 1, not in a haze."""


class PersonSegmenter:
    """A `Segmenter`. `every` is how many frames one answer of the model serves: in between, the
    held answer is fitted to the new frame's edges. Not for several threads at once."""

    def __init__(self, every: int = 1) -> None:
        self.every = every
        self._task: Any = None
        self._clock = RisingMilliseconds()
        self._steady = SteadyMask()
        self._age = 0

    def open(self) -> None:
        """Raises MissingDependencyError, ModelFormatError. Idempotent."""
        if self._task is None:
            self._task = open_task(
                SELFIE_SEGMENTER, _segmenter, lambda task, *asked: task.segment_for_video(*asked)
            )

    def mask(self, frame: VideoFrame) -> Mask:
        small = shrunk(frame.pixels)
        guide = _grey(small)
        held = self._steady.held
        if held is None or self._age + 1 >= self.every:
            self._age = 0
            held = self._steady.take(self._ask(small, frame.time_ns), guide)
        else:
            self._age += 1
        part = part_of_square(frame.pixels)
        return refined(held[part], guide[part], frame.pixels)

    def reset(self) -> None:
        self._steady = SteadyMask()
        self._age = 0

    def close(self) -> None:
        if self._task is not None:
            self._task.close()
            self._task = None

    def _ask(self, small: Pixels, time_ns: int) -> Mask:
        self.open()
        rgb = opencv().cvtColor(small, opencv().COLOR_BGR2RGB)
        answer = self._task.segment_for_video(as_image(rgb), self._clock.after(time_ns))
        # A view into MediaPipe's memory, which ends with the answer.
        raw: Mask = np.array(answer.confidence_masks[0].numpy_view(), np.float32)
        return raw.reshape(MODEL_SIZE[::-1])


class SteadyMask:
    """Exponential smoothing that lets go where the picture or the mask itself really changes."""

    def __init__(self) -> None:
        self.held: Mask | None = None
        self._guide: Mask | None = None

    def take(self, raw: Mask, guide: Mask) -> Mask:
        """The steady mask after `raw`; both float32 [256, 256], `guide` the grey frame, 0 to 1."""
        if self.held is None or self._guide is None:
            self.held = raw
        else:
            moved = opencv().boxFilter(opencv().absdiff(guide, self._guide), -1, (9, 9))
            step = raw - self.held
            share = CALM_SHARE + MOTION_GAIN * np.maximum(moved - NOISE_LEVEL, 0)
            share += CHANGE_GAIN * np.maximum(np.abs(step) - CHANGE_FLOOR, 0)
            self.held = self.held + np.minimum(share, 1).astype(np.float32) * step
        self._guide = guide
        return self.held


def part_of_square(pixels: Pixels) -> tuple[slice, slice]:
    """(rows, columns) of the model's square that the frame takes up."""
    height, width = pixels.shape[:2]
    wide, high = MODEL_SIZE
    if max(width, height) > MOST_SQUEEZED * min(width, height):
        wide = max(1, round(wide * min(1.0, width / height)))
        high = max(1, round(high * min(1.0, height / width)))
    top, left = (MODEL_SIZE[1] - high) // 2, (MODEL_SIZE[0] - wide) // 2
    return slice(top, top + high), slice(left, left + wide)


def shrunk(pixels: Pixels) -> Pixels:
    """uint8 [256, 256, 3]: the frame in its part of the square, its border drawn out to the rest.
    Halved as long as it goes, which is fast and lets no noise through, then interpolated."""
    cv2 = opencv()
    rows, columns = part_of_square(pixels)
    high, wide = rows.stop - rows.start, columns.stop - columns.start
    while pixels.shape[0] >= 2 * high and pixels.shape[1] >= 2 * wide:
        half = (pixels.shape[1] // 2, pixels.shape[0] // 2)
        pixels = cv2.resize(pixels, half, interpolation=cv2.INTER_AREA)
    small: Pixels = cv2.resize(pixels, (wide, high), interpolation=cv2.INTER_LINEAR)
    rest = (rows.start, MODEL_SIZE[1] - rows.stop, columns.start, MODEL_SIZE[0] - columns.stop)
    if any(rest):
        small = cv2.copyMakeBorder(small, *rest, cv2.BORDER_REPLICATE)
    return small


def refined(mask: Mask, guide: Mask, pixels: Pixels) -> Mask:
    """`mask` at the size of `pixels`, float32 [height, width], with the edges of it; `guide`: the
    grey frame at the mask's size."""
    cv2 = opencv()
    size = (pixels.shape[1], pixels.shape[0])
    sure = np.clip((mask - np.float32(SURE_LOW)) * np.float32(1 / (SURE_HIGH - SURE_LOW)), 0, 1)
    fewer = tuple(max(1, side // FILTER_SHRINK) for side in reversed(mask.shape))
    few = [cv2.resize(plane, fewer, interpolation=cv2.INTER_AREA) for plane in (guide, sure)]
    a, b = guided_coefficients(few[0], few[1], GUIDE_RADIUS, GUIDE_EPSILON)
    stretch = np.float32(1 / (EDGE_HIGH - EDGE_LOW))
    full = _grey(pixels)
    full *= cv2.resize(a * stretch, size)
    full += cv2.resize((b - np.float32(EDGE_LOW)) * stretch, size)
    return np.clip(full, 0, 1, out=full)


def _grey(pixels: Pixels) -> npt.NDArray[np.float32]:
    grey = opencv().cvtColor(pixels, opencv().COLOR_BGR2GRAY)
    scaled: npt.NDArray[np.float32] = np.multiply(grey, np.float32(1 / 255), dtype=np.float32)
    return scaled


def _segmenter(vision: Any, base_options: Any) -> Any:
    return vision.ImageSegmenter.create_from_options(
        vision.ImageSegmenterOptions(base_options, running_mode=vision.RunningMode.VIDEO)
    )
