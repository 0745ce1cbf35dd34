"""The record button of a performance: an MP4 of picture and voice, named for the time of day."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from bunraku.errors import BunrakuError, UserInputError
from bunraku.formats.control_action import Switch
from bunraku.io.video_reader import VideoReader
from bunraku.io.video_writer import VideoWriter
from bunraku.session.open_performance import recording_name, recording_of
from bunraku.session.performed import Performed


class DeskRecording:
    """One thread, but the figures from any. folder: where the files go, None: nothing is recorded;
    no name is ever taken from who presses the button. most_s: of one file. on_message: told which
    file, at its begin and end. finished: the files that play, complete or not."""

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
        self._lock = threading.Lock()  # what ends a session does not wait for the desk's thread
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
        with self._lock:
            self._switch(to)

    def _switch(self, to: Switch) -> None:
        on = self._writer is None if to == "toggle" else to == "on"
        if on and self._writer is None:
            self._begin()
        elif not on:
            self._end()

    def end(self) -> None:
        """The file is complete when this returns. Idempotent; any thread."""
        with self._lock:
            self._end()

    def _end(self) -> None:
        writer, path = self._writer, self.path
        self._writer = self.path = None
        if writer is None or path is None:
            return
        self._performance.stop_recording(writer)
        if plays(path):
            self.finished = (*self.finished, path)
        self._say(outcome(writer))

    def _begin(self) -> None:
        if self._folder is None:
            raise UserInputError("nothing is recorded here: start with --recordings FOLDER")
        path = self._folder / recording_name()
        writer = recording_of(self._performance, path)
        self._performance.record(writer)
        self._writer, self.path, self._began_s = writer, path, time.monotonic()
        silent = self._performance.voice is not None and writer.spec.sample_rate_hz is None
        without = ", without sound: no voice was heard yet" if silent else ""
        self._say(f"recording to {path.name}{without}")


def outcome(writer: VideoWriter) -> str:
    """Of a stopped writer, in a line."""
    path = writer.path
    if writer.error is not None:
        error = str(writer.error).replace(str(path), path.name)
        what = error if path.name in error else f"{path.name}: {error}"
        return f"{what}; what was written plays" if plays(path) else what
    if path.exists():
        return f"recorded {path.name}"
    if writer.shown > 0:
        return f"{path.name} is gone: the file or its folder was removed while it was recorded"
    return "nothing was recorded: no picture came"


def plays(path: Path) -> bool:
    """Whether there is a picture in it: what a full disk ended is often worth having."""
    try:
        VideoReader(path).close()
    except (BunrakuError, OSError):
        return False
    return True
