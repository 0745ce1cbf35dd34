"""A stretch of audio and when it was heard: what passes between effects written in Python."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from bunraku.errors import UserInputError

NS_PER_S = 1_000_000_000


@dataclass(frozen=True, eq=False)
class AudioBlock:
    """samples: float32 [channels, frames]; time_ns: monotonic time of the first frame.

    Raises UserInputError where `samples` is not such an array or the rate is not positive.
    """

    samples: npt.NDArray[np.float32]
    sample_rate_hz: float
    time_ns: int = 0

    def __post_init__(self) -> None:
        if self.samples.ndim != 2 or self.samples.dtype != np.float32:
            raise UserInputError(
                f"samples are {self.samples.dtype} of shape {self.samples.shape}: "
                "give float32 of shape [channels, frames]"
            )
        if not self.sample_rate_hz > 0.0:
            raise UserInputError(
                f"sample_rate_hz is {self.sample_rate_hz}: give a rate above 0, such as 48000"
            )

    @property
    def channels(self) -> int:
        return int(self.samples.shape[0])

    @property
    def frames(self) -> int:
        return int(self.samples.shape[1])

    @property
    def duration_ns(self) -> int:
        return round(self.frames * NS_PER_S / self.sample_rate_hz)

    @property
    def end_ns(self) -> int:
        """Time of the frame that follows the last."""
        return self.time_ns + self.duration_ns

    def with_samples(self, samples: npt.NDArray[np.float32]) -> AudioBlock:
        """Another content at the same time and rate."""
        return replace(self, samples=samples)
