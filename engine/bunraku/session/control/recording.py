"""The record button of a performance: an MP4 of picture and voice, named for the time of day."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bunraku.formats.control_action import Switch
from bunraku.io.video_writer import VideoWriter
from bunraku.session.open_performance import recording_name, recording_of
from bunraku.session.performance import Performance


class DeskRecording:
    """One thread, but `path` from any. folder: where the files go; no name is ever taken from who
    presses the button. on_message: told which file, at its begin and end."""

    def __init__(
        self, performance: Performance, folder: Path, on_message: Callable[[str], object]
    ) -> None:
        self._performance = performance
        self._folder = folder
        self._say = on_message
        self._writer: VideoWriter | None = None
        self.path: Path | None = None

    def switch(self, to: Switch) -> None:
        """Raises BunrakuError: no picture, or the file cannot be made."""
        on = self._writer is None if to == "toggle" else to == "on"
        if on and self._writer is None:
            self._begin()
        elif not on:
            self.end()

    def end(self) -> None:
        """The file is complete when this returns. Idempotent."""
        writer, path = self._writer, self.path
        self._writer = self.path = None
        if writer is not None:
            self._performance.stop_recording(writer)
            self._say(f"recorded {path}" if writer.error is None else f"{path}: {writer.error}")

    def _begin(self) -> None:
        path = self._folder / recording_name()
        writer = recording_of(self._performance, path)
        self._performance.record(writer)
        self._writer, self.path = writer, path
        self._say(f"recording to {path}")
