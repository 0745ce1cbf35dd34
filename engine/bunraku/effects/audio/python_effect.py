"""The base class of audio effects written in Python, and the catalogue of those at hand.

Such an effect runs on a worker thread, one declared block behind the audio thread.
"""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from bunraku.errors import UserInputError

Block = npt.NDArray[np.float32]


class AudioEffect(ABC):
    """One effect's state for one performance of `channels` channels.

    A subclass sets `name` and is thereby in the catalogue once its file lies in this package.
    The output for a frame may depend on it and on earlier ones only, and must not depend on how
    the signal is cut into blocks.
    """

    name: ClassVar[str] = ""
    summary: ClassVar[str] = ""

    def __init__(self, *, sample_rate_hz: float, channels: int) -> None:
        self.sample_rate_hz = sample_rate_hz
        self.channels = channels

    @property
    def latency_frames(self) -> int:
        """How many frames the output lags behind the input; the bridge's block is not in it."""
        return 0

    @abstractmethod
    def process(self, block: Block) -> Block:
        """float32 `[channels, frames]`, any number of frames, to the same shape."""

    def reset(self) -> None:  # noqa: B027 - an effect without state has nothing to do
        """Back to the state after an endless silence."""


def catalogue() -> dict[str, type[AudioEffect]]:
    """Every effect in this package by its name."""
    package = importlib.import_module(__package__ or "bunraku.effects.audio")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    kinds = subclasses(AudioEffect)  # type: ignore[type-abstract]
    return {kind.name: kind for kind in sorted(kinds, key=lambda kind: kind.name)}


def subclasses(kind: type[AudioEffect]) -> set[type[AudioEffect]]:
    """Named subclasses, however deep."""
    below = set(kind.__subclasses__())
    return {k for k in below if k.name}.union(*(subclasses(k) for k in below))


def open_effect(name: str, *, sample_rate_hz: float, channels: int, **settings: Any) -> AudioEffect:
    """A fresh effect of that name. Raises UserInputError that lists the names at hand."""
    kinds = catalogue()
    if name not in kinds:
        raise UserInputError(f"no effect is named '{name}'; at hand: {', '.join(kinds)}")
    return kinds[name](sample_rate_hz=sample_rate_hz, channels=channels, **settings)
