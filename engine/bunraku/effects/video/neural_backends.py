"""Which of the backends at hand plays a network."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

from bunraku.effects.video.neural_backend import NeuralBackend, Wish
from bunraku.effects.video.neural_model import ModelFacts
from bunraku.effects.video.neural_onnxruntime import OnnxruntimeBackend
from bunraku.effects.video.neural_openvino import OpenvinoBackend
from bunraku.effects.video.neural_torch import TorchBackend
from bunraku.errors import MissingDependencyError, UserInputError

BACKENDS: dict[str, Callable[[ModelFacts, Wish], NeuralBackend]] = {
    "openvino": OpenvinoBackend,
    "onnxruntime": OnnxruntimeBackend,
    "torch": TorchBackend,
}
INSTALLED_BY = {
    "openvino": "'bunraku[video]'",
    "onnxruntime": "onnxruntime",
    "torch": "'bunraku[train,kernels]'",
}
NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")


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
    return (
        f"backend '{name}' is not installed: pip install {INSTALLED_BY[name]}; "
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
    return BACKENDS[name](facts, wish)
