"""What plays an image-to-image network: the protocol, and what OpenVINO and onnxruntime share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bunraku.effects.video.neural_model import ModelFacts, Size, check_output
from bunraku.effects.video.scene import Mask
from bunraku.packages import opencv
from bunraku.streaming.video_frame import Pixels

Planes = npt.NDArray[Any]


@dataclass(frozen=True)
class Wish:
    """What the user asked of a backend."""

    backend: str = "auto"
    precision: str = "auto"
    device: str = "auto"


class NeuralBackend(ABC):
    """One network on one device. `says` tells which, in words for a report. batches: several
    pictures in one call cost less than in several."""

    says: str = ""
    batches: bool = False

    @abstractmethod
    def show(self, pixels: Pixels, mask: Mask, size: Size) -> Pixels:
        """`pixels` (uint8 [H, W, 3], blue first) with the network's picture over it as far as
        `mask` says: float32 [H, W], or [1, 1] for the whole frame, 0 to 1. size: (height, width)
        that the network gets. A new array."""

    def show_all(self, pictures: Sequence[tuple[Pixels, Mask]], size: Size) -> list[Pixels]:
        """As `show` for each (pixels, mask); all are of one shape. A backend that `batches` does it
        in one call."""
        return [self.show(pixels, mask, size) for pixels, mask in pictures]

    def prepare(self, sizes: list[Size]) -> None:  # noqa: B027 - most need not know beforehand
        """Get ready for these sizes, so that no frame waits for it."""

    def close(self) -> None:  # noqa: B027 - most hold nothing but memory
        """Let go of the network. Idempotent."""


class PlanesBackend(NeuralBackend):
    """A network that runs on NumPy planes; OpenCV does what is before and after it."""

    def __init__(self, facts: ModelFacts) -> None:
        self.facts = facts

    @abstractmethod
    def infer(self, planes: Planes) -> Planes:
        """[1, 3, h, w] to [1, 3, H, W], red first, in the network's own range."""

    def show(self, pixels: Pixels, mask: Mask, size: Size) -> Pixels:
        cv2 = opencv()

        made = self.infer(self.planes_of(pixels, size))
        check_output(self.facts, size, made.shape)
        styled = self.picture_of(made)
        height, width = pixels.shape[:2]
        if styled.shape != pixels.shape:
            how = resampling(styled, height)
            styled = np.asarray(cv2.resize(styled, (width, height), interpolation=how), np.uint8)
        return blended(pixels, styled, mask)

    def planes_of(self, pixels: Pixels, size: Size) -> Planes:
        cv2 = opencv()

        height, width = size
        if pixels.shape[:2] != size:
            how = resampling(pixels, height)
            pixels = np.asarray(cv2.resize(pixels, (width, height), interpolation=how), np.uint8)
        if self.facts.element_type == "uint8":
            return np.ascontiguousarray(pixels[None, ..., ::-1].transpose(0, 3, 1, 2))
        scale, offset = self.facts.scale, self.facts.offset
        # (value - offset) * scale: OpenCV's order of the two.
        planes: Planes = cv2.dnn.blobFromImage(
            pixels, 1 / scale, (width, height), (offset,) * 3, swapRB=True
        )
        return planes

    def picture_of(self, planes: Planes) -> Pixels:
        """uint8 [H, W, 3], blue first, limited to 0..255; not-a-number becomes 0."""
        cv2 = opencv()

        red, green, blue = planes[0]
        merged = cv2.merge([blue, green, red])
        if merged.dtype == np.uint8:
            return np.asarray(merged, np.uint8)
        scale, offset = self.facts.scale, self.facts.offset
        shown = cv2.addWeighted(merged, scale, merged, 0, offset, dtype=cv2.CV_8U)
        return np.asarray(shown, np.uint8)


def resampling(pixels: Pixels, height: int) -> int:
    """Means of areas when shrinking, straight lines between pixels when enlarging."""
    cv2 = opencv()

    return int(cv2.INTER_AREA if height < pixels.shape[0] else cv2.INTER_LINEAR)


def blended(pixels: Pixels, styled: Pixels, mask: Mask) -> Pixels:
    """`styled` over `pixels`; where the mask is 0, `pixels` to the bit."""
    cv2 = opencv()

    if mask.size == 1:
        share = float(mask.flat[0])
        if share >= 1:
            return styled
        return np.asarray(cv2.addWeighted(styled, share, pixels, 1 - share, 0), np.uint8)
    return np.asarray(cv2.blendLinear(styled, pixels, mask, 1 - mask), np.uint8)
