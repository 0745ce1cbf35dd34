"""What a desk moves: a performance on this machine's devices, or one on a browser's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from bunraku import _native
from bunraku.effects.audio.python_effect import AudioEffect
from bunraku.io.video_writer import VideoWriter
from bunraku.session.video_session import VideoSession


class PerformedVoice(Protocol):
    """A voice that plays. What is changed is heard without a click; any thread.

    `admit` before `swap` and `set_python_effects`: books what they would cost the scheduler. Raises
    OverloadError with numbers, and then nothing has changed.
    """

    @property
    def model(self) -> _native.Model:
        """What plays, or is being faded to."""

    @property
    def channels(self) -> int: ...

    @property
    def sample_rate_hz(self) -> int | None:
        """None before the first sound."""

    def admit(self, model: _native.Model, python_effects: Sequence[AudioEffect]) -> None: ...
    def swap(self, model: _native.Model) -> None: ...
    def set_param(self, param: str, value: float) -> None: ...
    def set_muted(self, muted: bool) -> None: ...

    def open_python_effects(self, names: Sequence[str]) -> list[AudioEffect]:
        """Fresh ones that fit. Raises UserInputError."""

    def set_python_effects(self, python_effects: Sequence[AudioEffect]) -> None: ...


class Performed(Protocol):
    """`voice` is there from the beginning, or never; the picture may come and go."""

    @property
    def voice(self) -> PerformedVoice | None: ...

    @property
    def picture(self) -> VideoSession | None: ...

    def record(self, writer: VideoWriter) -> None:
        """Begin to write picture and voice; raises BunrakuError."""

    def stop_recording(self, writer: VideoWriter) -> None:
        """The file is complete when this returns."""
