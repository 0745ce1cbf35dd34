"""The base class of audio effects written in Python, and the catalogue of those at hand.

Such an effect runs on a worker thread, one declared block behind the audio thread.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from bunraku.effects.catalogue import kind_named, kinds_in
from bunraku.errors import BunrakuError

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


def run_effects(effects: Sequence[AudioEffect], block: Block) -> Block:
    """`block`, float32 `[channels, frames]`, through all of them in turn, to the same shape. Raises
    BunrakuError for an effect that gives another one, and what an effect itself raises."""
    for effect in effects:
        given, made = block.shape, effect.process(block)
        if np.shape(made) != given:
            raise BunrakuError(
                f"the effect {effect.name or type(effect).__name__} gave back"
                f" {list(np.shape(made))} for a block of {list(given)} (channels, frames), which"
                " must not change: correct it or leave it out"
            )
        block = np.asarray(made, np.float32)
    return block


def catalogue() -> dict[str, type[AudioEffect]]:
    """Every effect in this package by its name."""
    return kinds_in("bunraku.effects.audio", AudioEffect)  # type: ignore[type-abstract]


def open_effect(name: str, *, sample_rate_hz: float, channels: int, **settings: Any) -> AudioEffect:
    """A fresh effect of that name. Raises UserInputError that lists the names at hand."""
    kind = kind_named(catalogue(), name)
    return kind(sample_rate_hz=sample_rate_hz, channels=channels, **settings)
