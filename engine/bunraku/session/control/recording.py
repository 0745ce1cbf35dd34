"""The record button of a performance: an MP4 of picture and voice, named for the time of day."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from bunraku.errors import UserInputError
from bunraku.formats.control_action import Switch
from bunraku.io.video_writer import VideoWriter
from bunraku.session.open_performance import recording_name, recording_of
from bunraku.session.performed import Performed


class DeskRecording:
    """One thread, but the figures from any. folder: where the files go, None: nothing is recorded;
    no name is ever taken from who presses the button. most_s: of one file. on_message: told which
    file, at its begin and end."""

    def __init__(
        self,
        performance: Performed,
        folder: Path | None,
        most_s: float,
        on_message: Callable[[str], object],
    ) -> None:
        self._performance = performance
        self._folder = folder
        self._most_s = most_s
        self._say = on_message
        self._writer: VideoWriter | None = None
        self._began_s = 0.0
        self.path: Path | None = None
        self.finished: tuple[Path, ...] = ()

    @property
    def seconds(self) -> float | None:
        """Since it began; None while nothing is recorded."""
        return None if self._writer is None else time.monotonic() - self._began_s

    @property
    def must_end(self) -> bool:
        """It failed, or is as long as one may be."""
        writer = self._writer
        return writer is not None and (
            writer.error is not None or time.monotonic() - self._began_s > self._most_s
        )

    def switch(self, to: Switch) -> None:
        """Raises BunrakuError: no folder, no picture, or the file cannot be made."""
        on = self._writer is None if to == "toggle" else to == "on"
        if on and self._writer is None:
            self._begin()
        elif not on:
            self.end()

    def end(self) -> None:
        """The file is complete when this returns. Idempotent."""
        writer, path = self._writer, self.path
        self._writer = self.path = None
        if writer is None or path is None:
            return
        self._performance.stop_recording(writer)
        if writer.error is not None:
            self._say(f"{path.name}: {writer.error}")
        elif path.exists():
            self.finished = (*self.finished, path)
            self._say(f"recorded {path.name}")
        else:
            self._say("nothing was recorded: no picture came")

    def _begin(self) -> None:
        if self._folder is None:
            raise UserInputError("nothing is recorded here: start with --recordings FOLDER")
        path = self._folder / recording_name()
        writer = recording_of(self._performance, path)
        self._performance.record(writer)
        self._writer, self.path, self._began_s = writer, path, time.monotonic()
        self._say(f"recording to {path.name}")
