"""A picture and when it was taken: what cameras give, effects change and sinks show."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from bunraku.errors import UserInputError

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class VideoFrame:
    """pixels: uint8 [height, width, 3], blue first, as OpenCV has them; time_ns: monotonic time of
    capture; number: counts from 0 at the source, so that a gap is a dropped frame; interpolated: no
    camera saw it, it was made from the frames on either side.

    Raises UserInputError where `pixels` is not such an array.
    """

    pixels: Pixels
    time_ns: int
    number: int = 0
    interpolated: bool = False

    def __post_init__(self) -> None:
        if self.pixels.ndim != 3 or self.pixels.shape[2] != 3 or self.pixels.dtype != np.uint8:
            raise UserInputError(
                f"pixels are {self.pixels.dtype} of shape {self.pixels.shape}: "
                "give uint8 of shape [height, width, 3], blue first"
            )

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return int(self.pixels.shape[1]), int(self.pixels.shape[0])

    def with_pixels(self, pixels: Pixels) -> VideoFrame:
        """Another picture of the same moment."""
        return replace(self, pixels=pixels)
