"""What plays an image-to-image network: the protocol, what OpenVINO and onnxruntime share, and the
choice among those at hand."""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bunraku.effects.video.neural_model import ModelFacts, Size, check_output
from bunraku.effects.video.scene import Mask
from bunraku.errors import MissingDependencyError, UserInputError
from bunraku.streaming.video_frame import Pixels

Planes = npt.NDArray[Any]
BACKENDS = ("openvino", "onnxruntime", "torch")
NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")


class NeuralBackend(ABC):
    """One network on one device. `says` tells which, in words for a report."""

    says: str = ""

    @abstractmethod
    def show(self, pixels: Pixels, mask: Mask, size: Size) -> Pixels:
        """`pixels` (uint8 [H, W, 3], blue first) with the network's picture over it as far as
        `mask` says: float32 [H, W], or [1, 1] for the whole frame, 0 to 1. size: (height, width)
        that the network gets. A new array."""

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
        import cv2

        made = self.infer(self.planes_of(pixels, size))
        check_output(self.facts, size, made.shape)
        styled = self.picture_of(made)
        height, width = pixels.shape[:2]
        if styled.shape != pixels.shape:
            how = resampling(styled, height)
            styled = np.asarray(cv2.resize(styled, (width, height), interpolation=how), np.uint8)
        return blended(pixels, styled, mask)

    def planes_of(self, pixels: Pixels, size: Size) -> Planes:
        import cv2

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
        import cv2

        red, green, blue = planes[0]
        merged = cv2.merge([blue, green, red])
        if merged.dtype == np.uint8:
            return np.asarray(merged, np.uint8)
        scale, offset = self.facts.scale, self.facts.offset
        shown = cv2.addWeighted(merged, scale, merged, 0, offset, dtype=cv2.CV_8U)
        return np.asarray(shown, np.uint8)


def resampling(pixels: Pixels, height: int) -> int:
    """Means of areas when shrinking, straight lines between pixels when enlarging."""
    import cv2

    return cv2.INTER_AREA if height < pixels.shape[0] else cv2.INTER_LINEAR


def blended(pixels: Pixels, styled: Pixels, mask: Mask) -> Pixels:
    """`styled` over `pixels`; where the mask is 0, `pixels` to the bit."""
    import cv2

    if mask.size == 1:
        share = float(mask.flat[0])
        if share >= 1:
            return styled
        return np.asarray(cv2.addWeighted(styled, share, pixels, 1 - share, 0), np.uint8)
    return np.asarray(cv2.blendLinear(styled, pixels, mask, 1 - mask), np.uint8)


@dataclass(frozen=True)
class Wish:
    """What the user asked of a backend."""

    backend: str = "auto"
    precision: str = "auto"
    device: str = "auto"


def installed() -> list[str]:
    """The backends whose package is here, the first choice on a CPU first."""
    return [name for name in BACKENDS if importlib.util.find_spec(name) is not None]


def backends_for(suffix: str) -> tuple[str, ...]:
    """Who reads such a file."""
    return ("torch",) if suffix == ".safetensors" else ("openvino", "onnxruntime")


def chosen(wish: Wish, suffixes: tuple[str, ...]) -> str:
    """The backend's name. suffixes: of the files that the model exists in.

    Raises UserInputError or MissingDependencyError, which list those at hand.
    """
    readers = [name for suffix in suffixes for name in backends_for(suffix)]
    at_hand = [name for name in readers if name in installed()]
    if wish.backend != "auto":
        if wish.backend not in readers:
            raise UserInputError(
                f"backend '{wish.backend}' does not read {' or '.join(suffixes)}: "
                f"{', '.join(readers)} do"
            )
        if wish.backend not in at_hand:
            raise MissingDependencyError(missing(wish.backend, at_hand))
        return wish.backend
    if wish.device == "cuda" or (wish.device == "auto" and gpu_wanted(at_hand)):
        if "torch" not in at_hand:
            raise UserInputError(
                f"device 'cuda' needs PyTorch and a .safetensors file; at hand: {listed(at_hand)}"
            )
        return "torch"
    if not at_hand:
        raise MissingDependencyError(missing(readers[0], at_hand))
    return at_hand[0]


def missing(name: str, at_hand: list[str]) -> str:
    extra = "train,kernels" if name == "torch" else "video"
    return (
        f"backend '{name}' is not installed: pip install 'bunraku[{extra}]'; "
        f"at hand for this file: {listed(at_hand)}"
    )


def listed(names: list[str]) -> str:
    return ", ".join(names) or "none"


def gpu_wanted(at_hand: list[str]) -> bool:
    """PyTorch takes seconds to import: it is asked only where an NVIDIA driver is."""
    if "torch" not in at_hand or not NVIDIA_DRIVER.exists():
        return False
    from bunraku.models.image_player import cuda_at_hand

    return cuda_at_hand()


def make_backend(name: str, facts: ModelFacts, wish: Wish) -> NeuralBackend:
    """The network, loaded. Raises ModelFormatError where the backend cannot read it."""
    if name == "openvino":
        from bunraku.effects.video.neural_openvino import OpenvinoBackend

        return OpenvinoBackend(facts, wish)
    if name == "onnxruntime":
        from bunraku.effects.video.neural_onnxruntime import OnnxruntimeBackend

        return OnnxruntimeBackend(facts, wish)
    from bunraku.effects.video.neural_torch import TorchBackend

    return TorchBackend(facts, wish)
