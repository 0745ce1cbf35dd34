"""A recording of one session, in the folder that the server was started with."""

from __future__ import annotations

import time
from pathlib import Path

from bunraku.errors import BunrakuError, UserInputError
from bunraku.io.video_writer import VideoWriter
from bunraku.serving.limits import MOST_RECORDING_S
from bunraku.serving.voice import Voice
from bunraku.session.open_performance import recording_name, recording_spec
from bunraku.session.video_session import VideoSession


class Recording:
    """Picture and voice, each with its own times. Raises what VideoWriter raises."""

    def __init__(self, folder: Path, picture: VideoSession, voice: Voice) -> None:
        self.path = folder / recording_name()
        self._picture = picture
        self._voice = voice
        self._began = time.monotonic()
        self._rate_hz = voice.sample_rate_hz  # once: sound may begin while this is set up
        self._writer = VideoWriter(recording_spec(self.path, picture, self._rate_hz))
        picture.add_sink(self._writer)
        if self._rate_hz is not None:
            voice.take(self._writer.write_audio)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    @property
    def error(self) -> BunrakuError | None:
        return self._writer.error

    @property
    def too_long(self) -> bool:
        return self.seconds > MOST_RECORDING_S

    def finish(self) -> Path | None:
        """The complete file; None where there is none, because no picture came. Raises what went
        wrong while writing."""
        if self._rate_hz is not None:
            self._voice.leave(self._writer.write_audio)
        self._picture.remove_sink(self._writer)
        if self._writer.error is not None:
            raise self._writer.error
        return self.path if self.path.exists() else None


def recordings_folder(folder: Path | None) -> Path:
    """Raises UserInputError where the server was started without one."""
    if folder is None:
        raise UserInputError("nothing is recorded here: start with --recordings FOLDER")
    return folder
