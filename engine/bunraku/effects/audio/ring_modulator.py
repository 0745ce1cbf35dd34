"""Ring modulator: the voice times a sine, the classic robot."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from bunraku.effects.audio.python_effect import AudioEffect, Block
from bunraku.errors import UserInputError


class RingModulator(AudioEffect):
    """output = input x ((1 - depth) + depth x sin(2 pi carrier t))."""

    name: ClassVar[str] = "ring_modulator"
    summary: ClassVar[str] = "robot voice: the signal times a sine"

    def __init__(
        self,
        *,
        sample_rate_hz: float,
        channels: int,
        carrier_hz: float = 60.0,
        depth: float = 1.0,
    ) -> None:
        super().__init__(sample_rate_hz=sample_rate_hz, channels=channels)
        if not 0.0 < carrier_hz < sample_rate_hz / 2:
            raise UserInputError(
                f"carrier_hz is {carrier_hz}: use more than 0 and less than {sample_rate_hz / 2:g}"
            )
        if not 0.0 <= depth <= 1.0:
            raise UserInputError(f"depth is {depth}: use 0 to 1")
        self._turns_per_frame = carrier_hz / sample_rate_hz
        self._depth = depth
        self._frame = 0

    def process(self, block: Block) -> Block:
        frames = block.shape[1]
        turns = (self._frame + np.arange(frames, dtype=np.float64)) * self._turns_per_frame
        self._frame += frames
        carrier = np.sin(2.0 * np.pi * (turns % 1.0))
        factor = (1.0 - self._depth) + self._depth * carrier
        return block * factor.astype(np.float32)

    def reset(self) -> None:
        self._frame = 0
