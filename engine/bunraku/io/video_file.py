"""A file or stream as a source: its pictures fall due by their own times against the monotonic
clock, and those that come too late are dropped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from bunraku.io.video_reader import VideoReader, is_url
from bunraku.io.video_source import Put, Say, VideoSource, say_nothing
from bunraku.io.video_specs import FileSpec
from bunraku.streaming.audio_block import NS_PER_S
from bunraku.streaming.video_frame import VideoFrame

LONGEST_GAP_NS = 200_000_000
NEAR_S = 0.5
"""So far, and by half of itself, a round may be from what the file says of it."""


class VideoFile(VideoSource):
    """The time of a frame is when it falls due; the first falls due at `started_ns`, unless another
    clock is followed.

    duration_s: how long one round lasts, as the file says; 0 if it does not. round_s: may be set
    before `start`: each round lasts so long, because sound of that length is heard with it; what
    comes later in the file is left out. None: as long as its pictures. A frame that is more than a
    period late is dropped, unless nothing was given for 0.2 s: a machine too slow for a file still
    shows some of it. Raises MediaError.
    """

    thread_name = "bunraku-video-file"

    def __init__(self, spec: FileSpec, on_message: Say = say_nothing) -> None:
        self.spec = spec
        self._reader: VideoReader | None = VideoReader(spec.path)
        self._opened_ns = time.monotonic_ns()
        super().__init__(self._reader.size, self._reader.rate_hz, on_message)
        self.duration_s = self._reader.duration_s
        self.round_s: float | None = None
        self.started_ns = 0
        self._time_ns_of: Callable[[float], int] | None = None

    def follow(self, time_ns_of: Callable[[float], int]) -> None:
        self._time_ns_of = time_ns_of

    def _due_ns(self, seconds: float) -> int:
        if self._time_ns_of is not None:
            return self._time_ns_of(seconds)
        return self.started_ns + round(seconds * NS_PER_S)

    def _deliver(self, put: Put, stopping: threading.Event) -> None:
        self._forget_old_stream()
        self.started_ns = time.monotonic_ns()
        began_s, number = 0.0, 0
        while True:
            reader = self._open_reader()
            pictures_s, number = self._play_round(reader, put, stopping, began_s, number)
            self._close()
            if stopping.is_set() or not self.spec.loop:
                return
            began_s += self._round_length(pictures_s)

    def _round_length(self, pictures_s: float) -> float:
        """In seconds, and never next to nothing: rounds without length would be a busy loop."""
        if self.round_s is not None:
            return max(self.round_s, 1.0 / self.rate_hz)
        near_s = min(NEAR_S, pictures_s / 2)
        return self.duration_s if abs(self.duration_s - pictures_s) < near_s else pictures_s

    def _play_round(
        self,
        reader: VideoReader,
        put: Put,
        stopping: threading.Event,
        began_s: float,
        number: int,
    ) -> tuple[float, int]:
        """One pass; its length in seconds and the number of the next frame."""
        period_s = 1.0 / self.rate_hz
        period_ns = round(period_s * NS_PER_S)
        corrupt_before, last_s, given_ns = self.corrupt, -period_s, 0
        most_s = self.round_s if self.spec.loop else None
        for time_s, frame in reader.frames():
            if most_s is not None and time_s >= most_s > 0:
                break
            last_s = time_s
            self.corrupt = corrupt_before + reader.corrupt
            due_ns = self._due_ns(began_s + time_s)
            number += 1
            if self.spec.real_time:
                now_ns = time.monotonic_ns()
                if due_ns > now_ns and stopping.wait((due_ns - now_ns) / NS_PER_S):
                    break
                if now_ns - due_ns > period_ns and now_ns - given_ns < LONGEST_GAP_NS:
                    self.dropped += 1
                    continue
                given_ns = now_ns
            if stopping.is_set():
                break
            put(VideoFrame(reader.pixels_of(frame), due_ns, number - 1))
        self.corrupt = corrupt_before + reader.corrupt
        return last_s + period_s, number

    def _forget_old_stream(self) -> None:
        """A stream that was opened long before the start has a backlog: it would stay that late."""
        age_ns = time.monotonic_ns() - self._opened_ns
        if is_url(self.spec.path) and age_ns > LONGEST_GAP_NS:
            self._close()
            self._open_reader()

    def _open_reader(self) -> VideoReader:
        if self._reader is None:
            self._reader = VideoReader(self.spec.path)
            self._reader.size = self.size
        return self._reader

    def _close(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()
