"""Noise gate: silence between words, with a short look ahead so that no consonant is cut."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from bunraku.effects.audio.python_effect import AudioEffect, Block
from bunraku.errors import UserInputError


class NoiseGate(AudioEffect):
    """Decides hop by hop (about 1.3 ms): opens at once where the peak passes `threshold_db`, stays
    open for `hold_s`, then closes over `release_s`. The gain moves in straight lines from hop to
    hop, and the sound waits one hop, so the gate is open when the loud frame arrives.

    The hops lie on a grid of the signal, so the result does not depend on the blocks; gathering a
    hop costs a second one: `latency_frames` is two hops.
    """

    name: ClassVar[str] = "noise_gate"
    summary: ClassVar[str] = "silence below a threshold"

    def __init__(
        self,
        *,
        sample_rate_hz: float,
        channels: int,
        threshold_db: float = -45.0,
        hold_s: float = 0.08,
        release_s: float = 0.10,
    ) -> None:
        super().__init__(sample_rate_hz=sample_rate_hz, channels=channels)
        if not -120.0 <= threshold_db <= 0.0:
            raise UserInputError(f"threshold_db is {threshold_db}: use -120 to 0")
        if not 0.0 <= hold_s <= 10.0 or not 0.001 <= release_s <= 10.0:
            raise UserInputError(
                f"hold_s {hold_s}, release_s {release_s}: use 0 to 10 s, 0.001 to 10 s"
            )
        self._hop = max(8, round(sample_rate_hz / 750.0))
        self._threshold = 10.0 ** (threshold_db / 20.0)
        self._hold_hops = round(hold_s * sample_rate_hz / self._hop)
        self._fall = self._hop / (release_s * sample_rate_hz)
        self.reset()

    @property
    def latency_frames(self) -> int:
        return 2 * self._hop

    def reset(self) -> None:
        hop = self._hop
        self._gathered = np.zeros((self.channels, 0), np.float32)  # less than a hop
        self._delayed = np.zeros((self.channels, hop), np.float32)  # the hop before it
        self._ready = np.zeros((self.channels, hop), np.float32)  # output not yet handed out
        self._gain = 0.0
        self._hops_to_hold = 0

    def process(self, block: Block) -> Block:
        hop = self._hop
        waiting = np.concatenate([self._gathered, block], axis=1)
        whole = waiting.shape[1] // hop
        outputs = [self._ready]
        for i in range(whole):
            outputs.append(self._gate(waiting[:, i * hop : (i + 1) * hop]))
        self._gathered = waiting[:, whole * hop :].copy()
        ready = np.concatenate(outputs, axis=1)
        frames = block.shape[1]
        self._ready = ready[:, frames:]
        return ready[:, :frames]

    def _gate(self, newest: Block) -> Block:
        """Play the delayed hop while the gain glides to what the newest hop asks for."""
        before = self._gain
        if float(np.abs(newest).max()) >= self._threshold:
            self._gain = 1.0
            self._hops_to_hold = self._hold_hops
        elif self._hops_to_hold > 0:
            self._hops_to_hold -= 1
        else:
            self._gain = max(0.0, self._gain - self._fall)
        ramp = before + (self._gain - before) * np.arange(1, self._hop + 1) / self._hop
        played: Block = self._delayed * ramp.astype(np.float32)
        self._delayed = newest.copy()
        return played
