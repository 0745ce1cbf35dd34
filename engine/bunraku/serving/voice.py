"""What a control desk needs of a voice, wherever it is heard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from bunraku.serving.browser_voice import TakeVoice, VoiceFigures


class Voice(Protocol):
    model: str
    effect_names: tuple[str, ...]

    @property
    def sample_rate_hz(self) -> int | None:
        """None before the first sound."""

    def choose(self, model: str, path_or_name: str, effects: Sequence[str] = ()) -> None: ...
    def take(self, taker: TakeVoice) -> None: ...
    def leave(self, taker: TakeVoice) -> None: ...
    def figures(self, now_ns: int) -> VoiceFigures: ...
